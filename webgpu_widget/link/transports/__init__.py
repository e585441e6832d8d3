"""Ways in: how messages reach the page that runs the engine."""
