"""WGSL as a function: reflection, layout and binding of arguments, textures, programs, profiles."""
