"""One machine: which it is, and the files of what was found out about it."""
