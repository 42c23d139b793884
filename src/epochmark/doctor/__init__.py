"""What keeps this machine from training well, each with the command that fixes it."""
