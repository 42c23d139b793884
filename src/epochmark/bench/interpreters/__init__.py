"""Which Python a worker runs in, and what an engine sees there."""
