"""Commands about this machine itself: what it is, and what is wrong with it."""
