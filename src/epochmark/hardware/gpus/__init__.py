"""GPUs and their drivers, seen without any framework: the bus, kernel files, vendors' tools."""
