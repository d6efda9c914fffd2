"""Benchmarks: each prints medians, spread and ratios, and asserts nothing.

`scripts/bench` runs them. Both sides of a comparison run in turns, on one machine, in one run.
"""
