"""What may be ranked against what, and which is faster by how much."""
