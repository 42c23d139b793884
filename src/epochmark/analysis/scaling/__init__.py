"""What several devices give: efficiency, the cost of communication, the proof of work."""
