"""Can the number be believed? Findings and contradictions of a record; reading and checking it."""
