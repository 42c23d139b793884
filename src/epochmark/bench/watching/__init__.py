"""Watch the machine before and during a run."""
