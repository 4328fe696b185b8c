"""Label trees chosen by what a robust network can certify."""
