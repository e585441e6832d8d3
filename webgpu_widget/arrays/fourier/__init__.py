"""Fourier transforms: plans, the kernels of their passes, and how they are launched."""
