"""hiercls assembles robust classifiers as hierarchies of label equivalence classes."""

__version__ = "0.1.0"
