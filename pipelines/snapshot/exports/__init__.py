"""A snapshot in the form of another trainer: `export.py` is the way in, one file per target says what its rows look like."""
