"""The triples: picks, candidates, verdicts, calibration, selection, rows."""
