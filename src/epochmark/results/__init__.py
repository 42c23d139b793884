"""Records of runs: their schema, the files that hold them, and what is derived from them."""
