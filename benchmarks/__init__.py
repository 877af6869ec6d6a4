"""Benchmarks: what the published figures are measured with."""
