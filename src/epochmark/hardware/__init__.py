"""What this machine is: its description, its devices, its sensors."""
