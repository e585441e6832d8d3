"""The rules on WGSL text bite, let go of what is right, and take an excuse only with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hazards.reader import UnreadableError
from hazards.rules import RULES, findings

from webgpu_widget import shaders
from webgpu_widget.arrays.matmul.subgroup import Subgroup, generate

SOURCES = {name: shaders.load(name) for name in shaders.names()}
SOURCES |= {path.name: path.read_text() for path in (Path(__file__).parents[2] / "js" / "src").rglob("*.wgsl")}
HEAD = """
struct Item { weight: f32, count: i32, at: vec3i }
alias Pair = vec2i;
@group(0) @binding(0) var<storage, read> items: array<Item>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> halves: array<f16>;
fn size(v: Pair) -> i32 { return v.x; }
fn f(a: i32, b: i32, x: f32, y: f32, u: u32, v: vec2i, w: vec2f) {
"""
BITES = {
    "integer size": [
        "let m = max(abs(a), b);",
        "let m = max(abs(a), abs(b));",
        "let m = max(max(a, -a), max(b, -b));",
        "let m = clamp(abs(a), abs(b), 100);",
        "let m = select(abs(b), abs(a), abs(a) > abs(b));",
        "let m = max(abs(v), v.yx);",
        "let s = abs(a); let t = s; var m = 0; if (b > 0) { m = max(t, b); }",
        "let m = max(abs(size(v)), items[0].count);",
        "let m = max(abs(items[u].at).x, b);",
        "for (var i = 0; i < max(b, abs(a)); i++) { }",
    ],
    "half and back": [
        "let r = unpack2x16float(pack2x16float(w));",
        "let p = pack2x16float(w * 2.0) ^ u; let r = unpack2x16float(p).x;",
        "let r = f32(f16(x));",
        "let h = vec2h(w); let r = vec2f(h);",
        "let h = f16(x) * 2.0h; out[0] = f32(h);",
    ],
    "itself compared": [
        "if (x != x) { return; }",
        "let n = x == x;",
        "let n = items[0].weight != items[0].weight;",
        "while (w.x + 1.0 >= (w.x + 1.0)) { }",
    ],
    "itself taken": [
        "let z = x - x;",
        "let o = w / w;",
        "out[0] = out[1] / out[1];",
        "var z = x; z -= z;",
    ],
    "sum taken apart": [
        "let s = x + y; let e = s - x;",
        "let e = y - ((x + y) - x);",
        "out[0] = (w - w.yx - w).x;",
    ],
    "float remainder": [
        "let r = x % y;",
        "let r = 5.0 % x;",
        "var r = x; r %= 2.0;",
        "let r = w % 3;",
        "let r = items[0].weight % f32(a);",
    ],
    "power": [
        "let r = pow(x, 2.0);",
        "let r = pow(w, w);",
        "let r = pow(abs(x), 2.0);",
        "let r = pow(max(x, 0.0), y);",
    ],
    "logarithm": [
        "let r = log(x);",
        "let r = log2(length(w));",
        "let r = log(abs(x));",
        "let r = log2(1.0 - x);",
        "let r = log(f32(u));",
    ],
}
RIGHT = [
    "let m = max(u32(abs(a)), u32(abs(b)));",
    "let m = max(abs(x), abs(y)) + max(max(x, -x), y);",
    "let m = min(abs(a), abs(b)) + max(abs(a), 100) + max(a, -a);",
    "let m = max(a, b) + clamp(a, 0, b) + abs(a);",
    "let r = unpack2x16float(pack2x16float(quantizeToF16(w)));",
    "let r = f32(quantizeToF16(x)) + f32(halves[u]) + unpack2x16float(u).x;",
    "let r = f32(f16(quantizeToF16(x)));",
    "let n = bitcast<u32>(x) == bitcast<u32>(y) || a == b;",
    "let z = a - a; let e = (a + b) - a; let k = x - y; let n = a != a;",
    "let r = a % b; let s = u % 3u; var t = v % vec2i(3); t %= vec2i(2); let q = items[0].count % 2;",
    "let r = pow(2.0, x) + pow(max(x, 1e-30), y) + pow(1.0 + abs(x), y);",
    "let r = log(max(x, 1e-30)) + log2(2.0) + log(1.0 + exp(x)) + log2(0.5 * max(x, 1.0));",
]
CASES = [(rule, text) for rule, texts in BITES.items() for text in texts]


def rules_of(body: str) -> set[str]:
    return {found.rule for found in findings(HEAD + body + "\n}\n")}


def test_every_rule_is_tested():
    assert set(BITES) == set(RULES)


@pytest.mark.parametrize(("rule", "text"), CASES)
def test_a_rule_bites(rule, text):
    assert rules_of(text) == {rule}


@pytest.mark.parametrize(("rule", "text"), CASES)
def test_an_excuse_with_a_reason_is_taken(rule, text):
    assert rules_of(f"{text} // safe here, because both are below 100") == set()
    assert rules_of(f"// safe here, because both are below 100\n{text}") == set()
    assert rules_of(f"// safe here, because both are below 100\n\n{text}") == {rule, "excuse"}


@pytest.mark.parametrize(
    "excuse", ["// safe here", "// safe here, because", "// safe here, because yes", "// safe here because:  ."]
)
@pytest.mark.parametrize("rule", RULES)
def test_an_excuse_without_a_reason_is_refused(rule, excuse):
    assert rules_of(f"{BITES[rule][0]} {excuse}") == {"excuse"}


def test_an_excuse_that_nothing_needs_is_refused():
    assert rules_of("let m = a + b; // safe here, because both are below 100") == {"excuse"}


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_passes(text):
    assert rules_of(text) == set()


@pytest.mark.parametrize("text", ["let m = a $ b;", "let m = (a + ;", "if a > b { m = `1`; }", "goto x;"])
def test_what_cannot_be_read_is_an_error_and_no_pass(text):
    with pytest.raises(UnreadableError):
        rules_of(text)


@pytest.mark.parametrize("name", SOURCES)
def test_the_packages_files_step_into_none_of_it(name):
    assert findings(SOURCES[name]) == []


@pytest.mark.parametrize("transposed", [False, True])
def test_the_product_on_subgroup_matrices_steps_into_none_of_it(transposed):
    assert findings(generate(Subgroup(a_t=transposed, b_t=not transposed))) == []
