"""How MLX is used here. The files import MLX; this one is read without it."""
