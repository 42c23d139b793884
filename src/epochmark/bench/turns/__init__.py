"""Trainings in turns, whatever is compared by them: each suspended while another trains."""
