"""Ranks on several machines: what a node is asked, and how the worker there is seen here."""
