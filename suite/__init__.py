"""The tests in stages: the stages, what each needs, and the results of a run."""
