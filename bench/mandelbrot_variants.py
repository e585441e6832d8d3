"""WGSL of the direct Mandelbrot kernel in many shapes, for `bench/mandelbrot.py --sweep`.

All of them write what direct.wgsl writes, the count and the continuous count, and all test escape only between blocks of iterations: the state at a block's
beginning is kept, and the block in which a pixel left is done again step by step.

The step in four instructions is x' = x x - (y y - a), y' = (x + x) y + b. In pairs it takes seven: the first of two steps leaves h = y / 2, which needs no
doubling, and the second makes t = 4 h, which serves both of its products. Powers of two change no rounding, so the orbit is the same to the bit.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

MAX_TEXT = 64
"""Iterations that are written out; longer blocks loop over these."""

HEAD = """
struct Params {{ size: vec2u, center: vec2f, step: vec2f, max_iter: u32, unused: u32 }}
@group(0) @binding(0) var<storage, read_write> result: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;
{shared}
fn outside(z: vec2f, limit: f32) -> bool {{ return {test}; }}
fn step(z: vec2f, c: vec2f) -> vec2f {{
  return vec2f(fma(z.x, z.x, fma(-z.y, z.y, c.x)), fma(z.x + z.x, z.y, c.y));
}}
fn pair(z: vec2f, c: vec2f) -> vec2f {{
  let x = fma(z.x, z.x, fma(-z.y, z.y, c.x));
  let h = fma(z.x, z.y, 0.5 * c.y);
  let t = 4.0 * h;
  return vec2f(fma(x, x, fma(-t, h, c.x)), fma(x, t, c.y));
}}
fn place(at: vec2u) -> vec2f {{
  return fma(vec2f(at) + 0.5 - 0.5 * vec2f(params.size), params.step, params.center);
}}
struct Pixel {{ z: vec2f, n: u32, left: bool }}
fn finish(at: vec2u, c: vec2f, start: Pixel) {{
  if (any(at >= params.size)) {{ return; }}
  var z = start.z;
  var n = start.n;
  let id = at.y * params.size.x + at.x;
  let total = params.size.x * params.size.y;
  if (start.left) {{
    {again}
  }}
  loop {{
    if (n >= params.max_iter || outside(z, 4.0)) {{ break; }}
    z = step(z, c);
    n += 1u;
  }}
  result[id] = n;
  if (n >= params.max_iter) {{
    result[total + id] = 0x7fc00000u;
    return;
  }}
  for (var i = 0u; i < 64u; i++) {{
    if (outside(z, 65536.0)) {{ break; }}
    z = step(z, c);
    n += 1u;
  }}
  result[total + id] = bitcast<u32>(f32(n) - log2(log2(dot(z, z)) / 16.0));
}}
"""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One shape of the kernel.

    Parameters
    ----------
    block : int
        Iterations between two tests.
    first : int
        Iterations of the blocks before ``after``, so that pixels that leave at once do not do a long block twice; 0 for none.
    after : int
        Where ``block`` begins.
    pairs : bool
        Seven instructions for two steps, not eight.
    shape : tuple of int
        Workgroup.
    pixels : int
        Pixels of an invocation, whose chains are interleaved.
    counted : bool
        Whether the loop counts blocks in a way that a compiler sees to end.
    again : int
        Length of the blocks in which the last block is done again; 1 for step by step at once.
    refill : int
        Pixels of an invocation that takes a new one whenever it is done; 0 for one pixel each.
    bits : bool
        Whether escape is tested on the bits of |z|^2.
    """

    block: int = 16
    first: int = 0
    after: int = 0
    pairs: bool = True
    shape: tuple[int, int] = (8, 8)
    pixels: int = 1
    counted: bool = True
    again: int = 1
    refill: int = 0
    bits: bool = True

    @property
    def name(self) -> str:
        words = [f"{self.block:3d} a test", "7/2" if self.pairs else "4", f"{self.shape[0]}x{self.shape[1]}"]
        if self.first:
            words.append(f"first {self.first} to {self.after}")
        if self.pixels > 1:
            words.append(f"{self.pixels} pixels")
        if self.again > 1:
            words.append(f"again by {self.again}")
        if self.refill:
            words.append(f"refilled {self.refill}")
        if not self.counted:
            words.append("while")
        if not self.bits:
            words.append("float test")
        return ", ".join(words)

    @property
    def tile(self) -> tuple[int, int]:
        """Pixels of a workgroup."""
        return self.shape[0] * self.pixels, self.shape[1] * max(self.refill, 1)

    def advance(self, to: str, start: str, c: str, count: int) -> str:
        """Text that sets ``to`` to ``start`` after ``count`` iterations."""
        each, call = (2, "pair") if self.pairs else (1, "step")
        written = min(count, MAX_TEXT)
        body = f"{to} = {call}({to}, {c}); " * (written // each)
        if count > written:
            body = f"for (var i_{to} = 0u; i_{to} < {count // written}u; i_{to}++) {{ {body} }}"
        return f"var {to} = {start}; {body}"

    def loop(self, block: int, until: str, pixels: int, first: int = 0) -> str:
        """Text that iterates pixels from ``first`` on by blocks while none of them leaves and ``until`` is not reached."""
        which = range(first, first + pixels)
        lines = [self.advance(f"w{p}", f"p{p}.z", f"c{p}", block) for p in which]
        if len(which) > 1:  # interleaved, as written
            each, call = (2, "pair") if self.pairs else (1, "step")
            lines = [f"var w{p} = p{p}.z;" for p in which]
            lines += [f"w{p} = {call}(w{p}, c{p});" for _ in range(block // each) for p in which]
        left = " || ".join(f"outside(w{p}, 4.0)" for p in which)
        set_left = " ".join(f"p{p}.left = outside(w{p}, 4.0);" for p in which)
        keep = " ".join(f"p{p}.z = w{p}; p{p}.n += {block}u;" for p in which)
        body = f"{' '.join(lines)} if ({left}) {{ {set_left} break; }} {keep}"
        if self.counted:
            # Blocks that fit before `until`: the count of the first stands for all, as they go together.
            return f"""
  {{
    let blocks = ({until} - min({until}, p{first}.n)) / {block}u;
    for (var b = 0u; b < blocks; b++) {{ {body} }}
  }}"""
        return f"\n  while (p{first}.n + {block}u <= {until}) {{ {body} }}"

    def stages(self, pixels: int, first: int = 0) -> str:
        """Text of the short blocks, if any, and the long ones."""
        text = self.loop(self.block, "params.max_iter", pixels, first)
        if not self.first:
            return text
        inside = " && ".join(f"!p{p}.left" for p in range(first, first + pixels))
        early = self.loop(self.first, f"min({self.after}u, params.max_iter)", pixels, first)
        return f"{early}\n  if ({inside}) {{ {text} }}"

    def source(self) -> str:
        """WGSL of the kernel."""
        test = "bitcast<u32>(dot(z, z)) > bitcast<u32>(limit)" if self.bits else "!(dot(z, z) <= limit)"
        again = ""
        if self.again > 1:
            again = f"""for (var i = 0u; i < {max(self.block, self.first) // self.again}u; i++) {{
      {self.advance("w", "z", "c", self.again)}
      if (outside(w, 4.0)) {{ break; }}
      z = w;
      n += {self.again}u;
    }}"""
        shared = "var<workgroup> next: atomic<u32>;" if self.refill else ""
        head = HEAD.format(shared=shared, test=test, again=again)
        across, down = self.shape
        entry = f"""
@compute @workgroup_size({across}, {down})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) invocation: vec3u) {{"""
        return head + entry + (self.refilled() if self.refill else self.plain()) + "\n}\n"

    def plain(self) -> str:
        across, down = self.shape
        text = ""
        for p in range(self.pixels):
            at = f"group.xy * vec2u({across * self.pixels}u, {down}u) + vec2u({p * across}u, 0u) + invocation.xy"
            text += f"\n  let at{p} = {at};\n  let c{p} = place(at{p});\n  var p{p} = Pixel(vec2f(), 0u, false);"
        text += self.stages(self.pixels)
        if self.pixels > 1:
            # One has left: each goes on by itself.
            for p in range(self.pixels):
                text += f"\n  if (!p{p}.left) {{ {self.stages(1, p)} }}"
        return text + "".join(f"\n  finish(at{p}, c{p}, p{p});" for p in range(self.pixels))

    def refilled(self) -> str:
        across, down = self.tile
        threads = self.shape[0] * self.shape[1]
        return f"""
  let mine = invocation.y * {self.shape[0]}u + invocation.x;
  var k = mine;
  if (mine == 0u) {{ atomicStore(&next, {threads}u); }}
  workgroupBarrier();
  var at = group.xy * vec2u({across}u, {down}u) + vec2u(k % {across}u, k / {across}u);
  var c0 = place(at);
  var p0 = Pixel(vec2f(), 0u, false);
  loop {{
    var over = p0.n + {self.block}u > params.max_iter;
    if (!over) {{
      {self.advance("w", "p0.z", "c0", self.block)}
      over = outside(w, 4.0);
      if (!over) {{
        p0.z = w;
        p0.n += {self.block}u;
      }}
    }}
    if (over) {{
      finish(at, c0, p0);
      k = atomicAdd(&next, 1u);
      if (k >= {across * down}u) {{ break; }}
      at = group.xy * vec2u({across}u, {down}u) + vec2u(k % {across}u, k / {across}u);
      c0 = place(at);
      p0 = Pixel(vec2f(), 0u, false);
    }}
  }}"""


def variants() -> Iterator[Variant]:
    """What the sweep times: one axis at a time from a middle that is likely good, then what may go well together."""
    for block, pairs in itertools.product((4, 8, 16, 32, 64, 128), (False, True)):
        yield Variant(block, pairs=pairs)
    base = Variant(64, first=16, after=64)
    yield base
    for shape in ((16, 4), (32, 1), (32, 2), (64, 1), (8, 4), (4, 8), (16, 8), (16, 16), (8, 16), (32, 8)):
        yield dataclasses.replace(base, shape=shape)
    for block, first, after in itertools.product((32, 64, 128), (8, 16, 32), (32, 64, 128)):
        yield Variant(block, first, after)
    for again in (4, 8, 16):
        yield dataclasses.replace(base, again=again)
        yield Variant(64, again=again)
    for pixels, block, shape in itertools.product((2, 4), (16, 32), ((8, 8), (8, 4))):
        yield Variant(block, first=8, after=32, pixels=pixels, shape=shape)
    for refill, block in itertools.product((4, 8, 16, 32), (16, 32, 64)):
        yield Variant(block, refill=refill)
    for block in (16, 64):
        yield Variant(block, counted=False)
        yield Variant(block, bits=False)
    yield dataclasses.replace(base, counted=False)
    yield dataclasses.replace(base, pairs=False)
    yield dataclasses.replace(base, pairs=False, counted=False)
    yield dataclasses.replace(base, shape=(8, 4), again=8)
