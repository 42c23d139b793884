"""What a board derives of a record itself: its figures, its hardware, its cell."""
