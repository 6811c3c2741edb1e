"""Readers: how each source lies on disk, and how its rows become canonical records."""
