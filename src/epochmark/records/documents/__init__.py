"""Documents that compare several trainings: races and scalings, each of a kind of its own."""
