"""Races: several engines train in turns, each parked while the others do."""
