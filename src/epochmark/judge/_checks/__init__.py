"""What validity and consistency are made of: one question about a record in each file."""
