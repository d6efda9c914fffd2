"""Benchmarks: each prints medians, spread and ratios, and asserts nothing.

`scripts/bench` runs them. Both sides of a comparison take turns, on one machine, in one run.
"""
