"""Benchmarks: their items in the layouts they are published in, and answers that a model must judge."""
