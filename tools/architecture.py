"""Print the figures that show the architecture: cycles, arrows that climb, reach-ins, twins with copied bodies, long files, lines, repeated WGSL, anonymous uniforms.

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
from typing import Any

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


class Blocking(ast.NodeTransformer):
    """Makes of a coroutine function what it would be if it blocked: no ``await``, no ``async``, no ``_async`` in names."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Await):
            return node.value
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.to_thread":
            return ast.Call(node.args[0], node.args[1:], node.keywords)
        kind: Any = {ast.AsyncFunctionDef: ast.FunctionDef, ast.AsyncFor: ast.For, ast.AsyncWith: ast.With}.get(
            type(node)
        )
        if kind is not None:
            return kind(**{name: getattr(node, name) for name in kind._fields if hasattr(node, name)})
        if isinstance(node, ast.comprehension):
            node.is_async = 0
        for name, value in ast.iter_fields(node):
            if isinstance(value, str):
                setattr(node, name, value.removesuffix("_async").replace("__a", "__", 1))
        return node


def statements(function: ast.AST) -> Counter[str]:
    """Return the statements of a function, those inside others too; a compound one counts by what stands before its colon."""
    body: list[ast.stmt] = Blocking().visit(function).body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    inside = [node for outer in body for node in ast.walk(outer) if isinstance(node, ast.stmt | ast.ExceptHandler)]

    def head(node: ast.AST) -> str:
        kept = {
            name: value
            for name, value in ast.iter_fields(node)
            if name not in ("body", "orelse", "finalbody", "handlers")
        }
        return type(node).__name__ + str({name: _text(value) for name, value in kept.items()})

    return Counter(map(head, inside))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return ast.dump(value) if isinstance(value, ast.AST) else repr(value)


def copied_twins(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int, int]]:
    """Yield the coroutine twins, as ``f_async`` of ``f`` or ``__aexit__`` of ``__exit__``, that have three statements or most of them in common with the blocking one.

    With each, how many are in common, and how many the longer of the two has. One statement in common is what a twin has to have: it calls the same body.
    """
    for scope in ast.walk(tree):
        functions = (
            {
                node.name: node
                for node in getattr(scope, "body", ())
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            if isinstance(scope, ast.Module | ast.ClassDef)
            else {}
        )
        for name, function in functions.items():
            other = functions.get(name.removesuffix("_async").replace("__a", "__", 1))
            if other is not None and other is not function:
                one, two = statements(other), statements(function)
                common, most = (one & two).total(), max(one.total(), two.total())
                if common > 1 and (common >= 3 or 2 * common > most):
                    yield function, common, most


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
    twins = {path: list(copied_twins(ast.parse(path.read_text(encoding="utf-8")))) for path in files}
    print(f"twins with copied bodies            {sum(map(len, twins.values()))}")
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
    for path, found in twins.items():
        for function, common, most in found:
            where = f"{path.relative_to(folder)}:{function.lineno}"
            print(f"  copied: {where} {function.name}, {common} of {most} statements")


if __name__ == "__main__":
    main()
