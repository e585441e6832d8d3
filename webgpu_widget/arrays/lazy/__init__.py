"""Lazy arrays: an expression graph, and the generator that makes one kernel of a chain of elementwise operations."""
