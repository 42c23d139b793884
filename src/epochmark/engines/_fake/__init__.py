"""What the fake engine does besides pretending: its script, how it fails, its own judge."""
