"""Make runs on this machine: plan them, start workers, write records."""
