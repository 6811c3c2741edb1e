"""One script per published number; each measures both sides in one run and prints a ratio."""
