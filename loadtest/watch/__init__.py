"""What is looked at each second: the count, receivers, allocations, the machine; all by `watch`."""
