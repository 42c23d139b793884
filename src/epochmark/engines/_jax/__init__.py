"""How JAX is used here. The files import JAX; this one is read without it."""

GPUS = "CUDA, ROCm; Metal with Apple's `jax-metal` (`--accelerator metal`)"
"""Whose GPUs JAX reaches."""
