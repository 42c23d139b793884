"""How PyTorch is used here. The files import PyTorch; this one is read without it."""

GPUS = "CUDA, ROCm, Metal (MPS), Intel (XPU)"
"""Whose GPUs PyTorch reaches."""
