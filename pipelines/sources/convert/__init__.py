"""Files that no source format is, made into one: `convert.py` is the way in, one file per kind says what its rows are."""
