"""The report of a run: terminal tables, CSV, and one offline HTML page."""
