"""Print the figures that show the architecture: cycles, arrows that climb, reach-ins, long files, lines, WGSL that stands twice, anonymous uniforms.

`python tools/architecture.py [FOLDER]` reads the package and `pyproject.toml` below a folder, by default this repository's, so that two trees can be compared.
Imports inside functions count; those under ``if TYPE_CHECKING`` do not, since no program follows them.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator

import grimp
import networkx as nx

PACKAGE = "webgpu_widget"
PRIVATE = frozenset({"_queue", "_connection", "_node"})
LONG = 400


def imports(folder: pathlib.Path) -> nx.DiGraph[str]:
    """Return who imports whom, by the names of modules."""
    sys.path.insert(0, str(folder))
    found = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(found.modules)
    graph.add_edges_from(
        (name, other) for name in found.modules for other in found.find_modules_directly_imported_by(name)
    )
    return graph


def layers(folder: pathlib.Path) -> list[set[str]]:
    """Return the rooms of the layers contract, from the top floor down."""
    settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["tool"].get("importlinter", {})
    for contract in settings.get("contracts", ()):
        if contract["type"] == "layers":
            return [{f"{PACKAGE}.{room.strip()}" for room in line.split("|")} for line in contract["layers"]]
    return []


def climbs(graph: nx.DiGraph[str], floors: list[set[str]]) -> list[tuple[str, str]]:
    """Return the imports from a floor of one above it."""
    height = {room: -place for place, rooms in enumerate(floors) for room in rooms}

    def of(module: str) -> int | None:
        parts = module.split(".")
        names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        return next((height[name] for name in names if name in height), None)

    known = [(name, other, of(name), of(other)) for name, other in graph.edges]
    return [(name, other) for name, other, low, high in known if low is not None and high is not None and high > low]


def reach_ins(path: pathlib.Path) -> Iterator[ast.Attribute]:
    """Yield the uses of another object's queue, connection or node in a module that does not define such an attribute."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in PRIVATE]
    own = {node.attr for node in uses if isinstance(node.ctx, ast.Store) and _is_self(node)}
    yield from (node for node in uses if node.attr not in own and not _is_self(node))


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def shader_declarations(source: str) -> Iterator[str]:
    """Yield the texts of a module's functions and structs, without comments and as if they were indented alike."""
    bare = re.sub(r"//[^\n]*", "", source)
    for match in re.finditer(r"^(?:fn|struct)\s", bare, re.MULTILINE):
        end, depth = bare.index("{", match.start()) + 1, 1
        while depth:
            depth += {"{": 1, "}": -1}.get(bare[end], 0)
            end += 1
        lines = (" ".join(line.split()) for line in bare[match.start() : end].splitlines())
        yield "\n".join(line for line in lines if line)


def repeated_shader_text(folder: pathlib.Path) -> dict[str, int]:
    """Return the functions and structs that stand in several files below a folder, each with the lines that one text would save."""
    seen = Counter(
        text for path in folder.rglob("*.wgsl") for text in {*shader_declarations(path.read_text(encoding="utf-8"))}
    )
    return {text: (count - 1) * len(text.splitlines()) for text, count in seen.items() if count > 1}


def main() -> None:
    """Print the figures."""
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__ + "/../..").resolve()
    graph = imports(folder)
    files = sorted((folder / PACKAGE).rglob("*.py"))
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in files}
    circles = sorted(nx.strongly_connected_components(graph), key=len, reverse=True)
    floors = layers(folder)
    climbing = climbs(graph, floors)
    inside = {path: list(reach_ins(path)) for path in files}
    print(f"modules in the largest cycle        {len(circles[0])}")
    print(f"modules in cycles                   {sum(len(circle) for circle in circles if len(circle) > 1)}")
    print(f"imports that climb against layers   {len(climbing) if floors else 'no layers are declared'}")
    print(f"reach-ins to {', '.join(sorted(PRIVATE))}  {sum(map(len, inside.values()))}")
    print(f"files over {LONG} lines                 {sum(count > LONG for count in lines.values())}")
    print(f"lines of Python in the package      {sum(lines.values())} in {len(files)} files")
    repeated = repeated_shader_text(folder / PACKAGE)
    packs = sum(path.read_text(encoding="utf-8").count("struct.pack(") for path in files)
    print(f"WGSL texts in several files         {len(repeated)}, {sum(repeated.values())} lines to save")
    print(f"calls of struct.pack                {packs}")
    for name, other in climbing:
        print(f"  climbs: {name} -> {other}")
    for circle in circles:
        if len(circle) > 1:
            print(f"  cycle: {', '.join(sorted(circle))}")
    for path, uses in inside.items():
        if uses:
            print(f"  reaches in: {path.relative_to(folder)}: {', '.join(str(node.lineno) for node in uses)}")


if __name__ == "__main__":
    main()
