"""Decoder-only language models of the Llama family, from GGUF files, their weights as the file has them."""
