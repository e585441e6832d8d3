"""WGSL whose index expressions are watched: the text rewritten so that it notes what is out of bounds, and the notes as an error."""
