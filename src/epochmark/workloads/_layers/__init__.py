"""The layers of the float64 judge, forwards and backwards: one file for each family of words."""
