"""The tests in stages: which there are, what each needs, and what came of a run."""
