"""What demo, benchmarks, chaos and tests share: the lab, an operator process, Stacks, listings, and parts in memory."""
