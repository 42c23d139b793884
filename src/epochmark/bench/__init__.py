"""Plan runs, launch workers, judge what they report, and write records."""
