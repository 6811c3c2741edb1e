"""One raw row of a source in any published shape, as turns and pictures, and what of it nobody reads."""
