"""What follows from records: pure functions over them."""
