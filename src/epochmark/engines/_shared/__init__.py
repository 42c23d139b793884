"""What engines share, above all the contract: what an engine is."""
