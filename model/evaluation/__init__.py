"""Benchmarks answered by a checkpoint and scored as the benchmarks' own code does."""
