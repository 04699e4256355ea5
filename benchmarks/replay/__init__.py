"""What `benchmarks/samplers.py` runs: whole searches on a table of trained networks, without training."""
