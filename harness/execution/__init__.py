"""Execution: the plan, the workers that carry it out, and the run that joins both with the comparison."""
