"""Comparison: one-pass array kernels, tolerance, statistics, scaling rules, and the checks built on them."""
