"""Pictures that move: shaders that draw in a cell, and arrays that are shown while they change."""
