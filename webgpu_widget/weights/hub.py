"""The Hugging Face hub: what its cache on this machine holds, what a repository lists, and who asks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from webgpu_widget.errors import WeightsError
from webgpu_widget.weights.formats import safetensors
from webgpu_widget.weights.formats.gguf_split import MAX_PARTS, part_names, place_in_name
from webgpu_widget.weights.readers import HttpReader

__all__ = ["hub_cached", "hub_headers", "hub_listing"]


def hub_cached(repo: str, name: str) -> Path | None:
    """Find a file, or a repository's weights, in the hub's cache on this machine; None unless it is whole."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    for candidate in [name] if name else ["model.safetensors", "model.safetensors.index.json"]:
        found = try_to_load_from_cache(repo, candidate)
        if isinstance(found, str) and _complete(Path(found)):
            return Path(found)
    return None


def _complete(path: Path) -> bool:
    """Whether a file that is one of several has all the others beside it."""
    needed: list[str] = []
    if safetensors.is_index(path.name):
        needed = list(safetensors.parse_index(path.read_bytes(), path.name).values())
    elif path.suffix == ".gguf" and (place_in_name(path.name) or (1, 1))[1] <= MAX_PARTS:
        needed = part_names(path.name)
    return all((path.parent / name).is_file() for name in needed)


def hub_headers() -> dict[str, str]:
    """Who asks, if this machine is logged in."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return {}
    from huggingface_hub import get_token

    token = get_token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def hub_listing(base: str, repo: str, headers: dict[str, str]) -> list[str]:
    """Names of a repository's files.

    Raises
    ------
    WeightsError
        The hub does not say.
    """
    reader = HttpReader(f"{base}/api/models/{repo}", headers)
    try:
        found = json.loads(reader.read(0, reader.size))
        names = [item["rfilename"] for item in found["siblings"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WeightsError(
            f"{base}/api/models/{repo} does not list files; name the file: 'hf:{repo}/model.safetensors'"
        ) from None
    return [name for name in names if isinstance(name, str)]
