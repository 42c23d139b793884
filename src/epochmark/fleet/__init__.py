"""Many machines of one kind: which of them are slow, and why; files first, launchers beside."""
