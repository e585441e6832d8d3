"""Parts of neural networks that models share."""
