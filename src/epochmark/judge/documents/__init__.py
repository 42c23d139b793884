"""Documents that compare several trainings: kept, read, and checked."""
