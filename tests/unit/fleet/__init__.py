"""Fleets of made-up nodes whose records are real structures."""
