"""Pages for people: rendered here, without scripts, in light and dark, for any width."""
