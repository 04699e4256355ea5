"""What `benchmarks/peers.py` runs: the contenders, each in a process of its own, and the measures of their searches."""
