"""Two programs, one believed: the draws of the first replayed in the second, values matched, the first divergence named.

Data flows: inputs, sides (calling the programs), pairing (draws), weights, judging (limits), divergence, causes, report.
No framework is imported here: programs run in workers, or in the caller's process through harness.frameworks.
"""
