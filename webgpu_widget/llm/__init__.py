"""Decoder-only language models of the Llama family in the browser, from GGUF files and hub folders."""

from webgpu_widget.llm.model import LanguageModel

__all__ = ["LanguageModel"]
