"""Snapshots: their rows, seal, card, checks, differences and exports."""
