"""One worker process: start it, listen to it, leave nothing of it behind."""
