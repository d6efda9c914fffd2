"""Real parts as child processes, for whoever runs some: demo, benchmarks, load test, tests."""
