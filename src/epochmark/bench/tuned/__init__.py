"""Search an engine's fastest settings on this machine."""
