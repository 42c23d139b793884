"""What the machine did during a run, and what it can do at most."""
