"""How a result comes in: bounded, signed, unpacked, recomputed, and held where it surprises."""
