"""Managed virtual environments: one per distinct set of requirements, made with venv and pip."""
