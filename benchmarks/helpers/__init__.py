"""What several benchmarks share, and the tables of their results."""
