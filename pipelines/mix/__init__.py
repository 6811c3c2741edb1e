"""The mix: samples, fingerprints, duplicates, contamination, selection, rows."""
