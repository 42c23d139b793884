"""How tinygrad is used here. The files import tinygrad; this one is read without it."""
