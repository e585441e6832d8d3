"""Files that are often taken for weights and are none: told by their first bytes, so that the error can say what was given."""

from __future__ import annotations

from webgpu_widget.errors import FormatError

__all__ = ["refuse_foreign"]

_CONVERT = "convert it to .safetensors (safetensors.torch.save_file) first"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"\x93NUMPY", "a .npy file, one array without a name", "pass np.load(path) to gpu.array, or save it by a name with np.savez"),
    (b"version ", "a Git LFS pointer, the text that stands for a file that was not fetched", "run `git lfs pull`, or download the file itself"),
    (b"<!DOCTYP", "a web page", "the address leads to a page (of a login, or about the file), not to the file"),
    (b"<!doctyp", "a web page", "the address leads to a page (of a login, or about the file), not to the file"),
    (b"<html", "a web page", "the address leads to a page (of a login, or about the file), not to the file"),
    (b"\x80\x02", "a pickle, such as an old PyTorch checkpoint", _CONVERT),
    (b"\x80\x03", "a pickle", _CONVERT),
    (b"\x80\x04", "a pickle", _CONVERT),
    (b"\x80\x05", "a pickle", _CONVERT),
    (b"\x89HDF", "an HDF5 file, such as Keras weights", "convert it to .safetensors first"),
    (b"\x1f\x8b", "gzip-compressed", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it first"),
    (b"lmgg", "a GGML file, GGUF's predecessor", "convert it to .gguf with llama.cpp"),
    (b"tjgg", "a GGML file, GGUF's predecessor", "convert it to .gguf with llama.cpp"),
)  # fmt: skip


def refuse_foreign(head: bytes, name: str, size: int) -> None:
    """Refuse what is no safetensors file and is known.

    Parameters
    ----------
    head : bytes
        The first 8 bytes, or as many as there are.
    name : str
        The file's name, for the error.
    size : int
        Its length in bytes.

    Raises
    ------
    FormatError
        With what it is, and what to do.
    """
    if len(head) == 8 and int.from_bytes(head, "little") <= size - 8:
        return  # a safetensors file may begin so
    for begin, what, advice in _KINDS:
        if head.startswith(begin):
            raise FormatError(f"{name}: is {what}; {advice}")
    text = head.lstrip(b" \t\r\n")
    if text[:1] in (b"{", b"["):
        raise FormatError(
            f"{name}: is JSON text, not weights; pass the .safetensors, .gguf or .npz file, or an index by its name "
            "(*.safetensors.index.json, *.safetensors.index.VARIANT.json)"
        )
