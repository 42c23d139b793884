"""How TensorFlow is used here. The files import TensorFlow; this one is read without it."""
