"""Real parts as child processes, for the demo, the benchmarks, the load test and the tests."""
