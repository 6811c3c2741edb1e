"""A first recipe for files that somebody has: what lies there, what it may be, and the text that says so."""
