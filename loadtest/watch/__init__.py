"""What is sampled once per second: the count, receivers, allocations, the machine."""
