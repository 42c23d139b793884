"""From raw laps to the steady epoch and the headline."""
