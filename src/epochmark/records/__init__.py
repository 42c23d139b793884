"""Runs once written: their structures, their JSON, the files that hold them."""
