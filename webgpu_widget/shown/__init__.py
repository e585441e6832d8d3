"""What is shown in a notebook, and what of it stays in the file."""
