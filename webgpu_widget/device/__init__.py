"""A GPU in some browser: its queue, what lives in it by number, and which one is used when none is named."""
