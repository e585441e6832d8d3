"""A front end over wgpu-py: the package's WGSL compiled by naga, as Firefox does, and run by Mesa's llvmpipe."""
