"""Write ``src/protocol.gen.ts`` from ``protocol.py``, ``widgets.py`` and ``services.py`` in ``webgpu_widget/link``.

    python js/gen_protocol.py           writes the file
    python js/gen_protocol.py --check   exit status 1 when the file is not what it would write

TypedDicts become interfaces, unions of them become discriminated unions, constants become constants. Each ``NAME = Service("name", Params, Answer, Report)``
becomes a field of the interface ``Services``.
"""

from __future__ import annotations

import argparse
import ast
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
LINK = HERE.parent / "webgpu_widget" / "link"
SOURCES = [LINK / name for name in ("protocol.py", "widgets.py", "services.py")]
TARGET = HERE / "src" / "protocol.gen.ts"
SIMPLE = {
    "int": "number",
    "float": "number",
    "str": "string",
    "bool": "boolean",
    "bytes": "DataView | Uint8Array",
    "Any": "unknown",
}


def type_of(node: ast.expr) -> str:
    """Translate a Python annotation."""
    if isinstance(node, ast.Constant) and node.value is None:
        return "null"
    if isinstance(node, ast.Name):
        return SIMPLE.get(node.id, node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return f"{type_of(node.left)} | {type_of(node.right)}"
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice
        if node.value.id == "Literal":
            values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return " | ".join(json.dumps(ast.literal_eval(value)) for value in values)
        if node.value.id == "list":
            return f"ReadonlyArray<{type_of(inner)}>"
        if node.value.id == "tuple" and isinstance(inner, ast.Tuple):
            return f"readonly [{', '.join(type_of(item) for item in inner.elts)}]"
        if ast.unparse(node) == "Mapping[str, object]":
            return "object"
        if node.value.id == "dict" and isinstance(inner, ast.Tuple):
            return f"Readonly<Record<string, {type_of(inner.elts[1])}>>"
        if node.value.id == "NotRequired":
            return type_of(inner)
    message = f"line {node.lineno}: no TypeScript for {ast.unparse(node)}"
    raise SystemExit(message)


def comment(text: str | None, indent: str = "") -> list[str]:
    """Turn a docstring into a TSDoc comment."""
    if not text:
        return []
    lines = text.strip().splitlines()
    if len(lines) == 1:
        return [f"{indent}/** {lines[0].strip()} */"]
    return [f"{indent}/**", *(f"{indent} * {line.strip()}".rstrip() for line in lines), f"{indent} */"]


def interface(node: ast.ClassDef) -> list[str]:
    """Translate one TypedDict, or one that has the fields of another and more."""
    base = ast.unparse(node.bases[0])
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    if not fields:
        return [*comment(ast.get_docstring(node)), f"export type {node.name} = Readonly<Record<string, never>>;", ""]
    extends = "" if base == "TypedDict" else f" extends {base}"
    lines = [*comment(ast.get_docstring(node)), f"export interface {node.name}{extends} {{"]
    for item in fields:
        if isinstance(item.target, ast.Name):
            optional = (
                isinstance(item.annotation, ast.Subscript) and ast.unparse(item.annotation.value) == "NotRequired"
            )
            lines.append(f"  readonly {item.target.id}{'?' if optional else ''}: {type_of(item.annotation)};")
    return [*lines, "}", ""]


def alias(name: str, value: ast.expr, values: dict[str, int]) -> list[str]:
    """Translate a constant or a type alias."""
    if isinstance(value, (ast.Subscript, ast.Name)) or (
        isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr)
    ):
        *parts, last = (part.strip() for part in type_of(value).split(" | "))
        return [f"export type {name} =", *(f"  | {part}" for part in parts), f"  | {last};", ""]
    values[name] = eval(compile(ast.Expression(value), name, "eval"), {"__builtins__": {}}, values)  # noqa: S307
    return [f"export const {name} = {json.dumps(values[name])};", ""]


def service(value: ast.Call) -> list[str]:
    """Translate what a service is asked, answers and reports."""
    name, params, answer, report = (ast.unparse(arg) for arg in value.args)
    return [
        f"  readonly {json.dumps(ast.literal_eval(name))}: {{ readonly params: {params}; readonly answer: {answer}; readonly report: {report} }};"
    ]


def generate() -> str:
    """Return the TypeScript text."""
    lines = ["// Generated from webgpu_widget/link by gen_protocol.py. Do not edit.", ""]
    values: dict[str, int] = {}
    types: set[str] = set()
    services: list[str] = []
    for node in (node for source in SOURCES for node in ast.parse(source.read_text()).body):
        if isinstance(node, ast.ClassDef) and ast.unparse(node.bases[0]) in {"TypedDict", *types}:
            if node.name in types:
                message = f"two messages are called {node.name}"
                raise SystemExit(message)
            types.add(node.name)
            lines += interface(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if not isinstance(node.value, ast.Call):
                lines += alias(node.targets[0].id, node.value, values)
            elif ast.unparse(node.value.func) == "Service":
                services += service(node.value)
    lines += [
        "/** What each service is asked, answers and reports, by its name. */",
        "export interface Services {",
        *services,
        "}",
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = generate()
    if not parser.parse_args().check:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    sys.stderr.write("js/src/protocol.gen.ts is not what webgpu_widget/link says; run: python js/gen_protocol.py\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
