"""NumPy twins of the shaders, by the same names."""
