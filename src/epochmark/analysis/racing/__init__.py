"""A race by turns: the order of its turns, the ratios of its entries, when they are known."""
