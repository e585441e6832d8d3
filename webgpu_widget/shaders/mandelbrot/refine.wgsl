// The iteration of perturb.wgsl with 56-bit mantissas, for pixels whose neighbours differ.
// delta' = h delta + dc with rebasing and table entries, as perturb.wgsl, one step at a time. Near the boundary a pixel's count hangs on far less
// than f32 holds. A complex number is four signed limbs of 14 bits a part and one exponent; products of limbs and their sums fit i32, so the
// arithmetic is exact on every adapter: no compiler may reorder it away, as it may with pairs of f32.
// Shapes: points vec4i[3 count] (dc as a row), reference vec4i[3 points], table vec4i[6 entries], state i32[11][count], result u32[2][count],
// remaining u32[1].
// A row is a number: (a, b), (c, d), (exponent, mark, 0, 0). reference row m: 2 Z_m, in its mark bit 0 at the end of an orbit, and bit 1 where |Z| is
// near the radius r, with r^2 - |Z|^2 as f32 bits and exponent in the last two words.
// table entry: two rows, A with the exponent of the radius as mark, and B.
// Result: as direct.wgsl, planes 0 and 1.
// Dispatch: ceil(count / 64) workgroups, folded into rows of `row_groups`.
// Accuracy: delta is right to about 2^-52 sqrt(n) of itself.
// Source: as perturb.wgsl; the limbs are schoolbook multiplication in radix 2^14 with balanced digits.

#import shared/escape
#import shared/levels

override FIRST_LEVEL: u32 = 4u;
override POWER: u32 = 2u;
override JULIA: bool = false;
override TABLE: bool = true;

struct Params {
  count: u32,
  max_iter: u32,
  budget: u32,
  fresh: u32,
  row_groups: u32,
  start: u32,
  levels: u32,
  highest: i32,
  radius_squared: f32,
  unused: u32,
  unused_too: vec2u,
  level_offsets: array<vec4u, 8>,
}

@group(0) @binding(0) var<storage, read> points: array<vec4i>;
@group(0) @binding(1) var<storage, read> reference: array<vec4i>;
@group(0) @binding(2) var<storage, read> table: array<vec4i>;
@group(0) @binding(3) var<storage, read_write> state: array<i32>;
@group(0) @binding(4) var<storage, read_write> result: array<u32>;
@group(0) @binding(5) var<storage, read_write> remaining: array<atomic<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

const DONE = 0x80000000u;
const NAN_BITS = 0x7fc00000u;
const FAR_SQUARED = 65536.0;
const NOTHING = -0x20000000;
const HALF = vec2i(8192);
const CONJUGATE = vec2i(1, -1);
const REAL = vec2i(1, 0);

// (a 2^-14 + b 2^-28 + c 2^-42 + d 2^-56) 2^exponent; b, c and d balanced: at most 2^13
struct Number { a: vec2i, b: vec2i, c: vec2i, d: vec2i, exponent: i32 }

fn bits(v: vec2i) -> i32 {
  return 32 - i32(countLeadingZeros(max(u32(abs(v.x)), u32(abs(v.y)))));
}

// Bring the larger part of a to about 14 bits; e is a fifth limb, for what moves up.
fn normal(x: Number, e0: vec2i) -> Number {
  var n = x;
  var e = e0;
  for (var i = 0; i < 4 && all(n.a == vec2i(0)); i++) {
    n = Number(n.b, n.c, n.d, e, n.exponent - 14);
    e = vec2i(0);
  }
  let size = bits(n.a);
  if (size == 0) { return Number(vec2i(0), vec2i(0), vec2i(0), vec2i(0), NOTHING); }
  if (size > 14) { return moved_down(n, u32(size - 14), n.exponent + size - 14); }
  let s = vec2u(u32(14 - size));
  let low = ((e << s) + HALF) >> vec2u(14u);
  return carried(n.a << s, n.b << s, n.c << s, (n.d << s) + low, n.exponent + size - 14);
}

// n / 2^s, 0 <= s <= 14, with another exponent
fn moved_down(n: Number, s: u32, exponent: i32) -> Number {
  let down = vec2u(s);
  let up = vec2u(14u - s);
  let a = n.a >> down;
  let b = n.b >> down;
  let c = n.c >> down;
  return carried(a, b + ((n.a - (a << down)) << up), c + ((n.b - (b << down)) << up), (n.d >> down) + ((n.c - (c << down)) << up), exponent);
}

fn carried(a: vec2i, b: vec2i, c: vec2i, d: vec2i, exponent: i32) -> Number {
  let shift = vec2u(14u);
  let up_d = (d + HALF) >> shift;
  let c1 = c + up_d;
  let up_c = (c1 + HALF) >> shift;
  let b1 = b + up_c;
  let up_b = (b1 + HALF) >> shift;
  return Number(a + up_b, b1 - (up_b << shift), c1 - (up_c << shift), d - (up_d << shift), exponent);
}

fn cross(u: vec2i, v: vec2i) -> vec2i {
  return vec2i(u.x * v.x - u.y * v.y, u.x * v.y + u.y * v.x);
}

fn times(x: Number, y: Number) -> Number {
  let shift = vec2u(14u);
  let p3 = cross(x.a, y.d) + cross(x.b, y.c) + cross(x.c, y.b) + cross(x.d, y.a);
  let up3 = (p3 + HALF) >> shift;
  let p2 = cross(x.a, y.c) + cross(x.b, y.b) + cross(x.c, y.a) + up3;
  let up2 = (p2 + HALF) >> shift;
  let p1 = cross(x.a, y.b) + cross(x.b, y.a) + up2;
  let up1 = (p1 + HALF) >> shift;
  let p0 = cross(x.a, y.a) + up1;
  let a = (p0 + HALF) >> shift;
  let exponent = max(x.exponent + y.exponent, NOTHING);
  return normal(Number(a, p0 - (a << shift), p1 - (up1 << shift), p2 - (up2 << shift), exponent), p3 - (up3 << shift));
}

// Re(conj(x) y), alone: an imaginary part may be larger by more bits than there are.
fn inner(x: Number, y: Number) -> Number {
  let p = times(Number(x.a * CONJUGATE, x.b * CONJUGATE, x.c * CONJUGATE, x.d * CONJUGATE, x.exponent), y);
  return normal(Number(p.a * REAL, p.b * REAL, p.c * REAL, p.d * REAL, p.exponent), vec2i(0));
}

fn plus(x: Number, y: Number) -> Number {
  let gap = x.exponent - y.exponent;
  if (gap >= 60) { return x; }
  if (gap <= -60) { return y; }
  var high = x;
  var low = y;
  if (gap < 0) {
    high = y;
    low = x;
  }
  var left = abs(gap);
  for (var i = 0; i < 4 && left >= 14; i++) {
    low = Number(vec2i(0), low.a, low.b, low.c, low.exponent);
    left -= 14;
  }
  low = moved_down(low, u32(left), high.exponent);
  return normal(carried(high.a + low.a, high.b + low.b, high.c + low.c, high.d + low.d, high.exponent), vec2i(0));
}

fn mantissa(x: Number) -> vec2f {
  return vec2f(x.a) * 6.103515625e-5 + vec2f(x.b) * 3.7252902984619140625e-9 + vec2f(x.c) * 2.27373675443232059478759765625e-13;
}

fn approximate(x: Number) -> vec2f {
  return mantissa(x) * power_of_two(x.exponent);
}

fn halved(x: Number) -> Number {
  return Number(x.a, x.b, x.c, x.d, x.exponent - 1);
}

fn chord(Z2: Number, delta: Number) -> Number {
  if (POWER == 2u) { return plus(Z2, delta); }
  let Z = halved(Z2);
  let z = plus(Z, delta);
  let zz = times(z, z);
  let ZZ = times(Z, Z);
  let zZ = times(z, Z);
  if (POWER == 3u) { return plus(plus(zz, zZ), ZZ); }
  if (POWER == 4u) { return times(plus(z, Z), plus(zz, ZZ)); }
  return plus(plus(times(zz, zz), times(ZZ, ZZ)), times(zZ, plus(plus(zz, zZ), ZZ)));
}

fn row(m: u32) -> Number {
  let u = reference[3u * m];
  let v = reference[3u * m + 1u];
  return Number(u.xy, u.zw, v.xy, v.zw, reference[3u * m + 2u].x);
}

fn stored(at: u32) -> Number {
  let u = table[at];
  let v = table[at + 1u];
  return Number(u.xy, u.zw, v.xy, v.zw, table[at + 2u].x);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let id = (group.y * params.row_groups + group.x) * 64u + invocation;
  let count = params.count;
  if (id >= count) { return; }
  let at = 3u * id;
  let dc0 = Number(points[at].xy, points[at].zw, points[at + 1u].xy, points[at + 1u].zw, points[at + 2u].x);
  var dc = dc0;
  if (JULIA) { dc = Number(vec2i(0), vec2i(0), vec2i(0), vec2i(0), NOTHING); }
  var delta = dc0;
  var m = params.start;
  var n = select(1u, 0u, JULIA);
  var crossed = DONE;
  if (params.fresh == 0u) {
    n = bitcast<u32>(state[10u * count + id]);
    if ((n & DONE) != 0u) { return; }
    delta = Number(
      vec2i(state[id], state[count + id]), vec2i(state[2u * count + id], state[3u * count + id]),
      vec2i(state[4u * count + id], state[5u * count + id]), vec2i(state[6u * count + id], state[7u * count + id]),
      state[8u * count + id]);
    m = bitcast<u32>(state[9u * count + id]);
  }

  var work = i32(params.budget);
  var extra = 0u;
  var moved = params.fresh != 0u;   // whether the point just reached has to be looked at
  var z = vec2f(0.0);
  loop {
    if (moved) {
      moved = false;
      let Z2 = row(m);
      let Z = halved(Z2);
      let tail = reference[3u * m + 2u];
      let last = (tail.y & 1) != 0;
      var near = false;
      if (max(Z.exponent, delta.exponent) > -40) {
        let d = approximate(delta);
        z = approximate(Z) + d;
        near = dot(z, z) < dot(d, d);
      } else {
        z = vec2f(0.0);
        near = true;
      }
      if (crossed == DONE) {
        var out = outside(dot(z, z), params.radius_squared);
        if ((tail.y & 2) != 0) {
          // As `over` in perturb.wgsl; Z2 is 2 Z.
          let grown = plus(inner(Z2, delta), inner(delta, delta));
          out = mantissa(grown).x > bitcast<f32>(tail.z) * power_of_two(tail.w - grown.exponent);
        }
        if (out) { crossed = n; }
      }
      if (near || last) {
        // The exact sum decides: a rebase that is not due would only cost, but a coarse comparison may see one everywhere.
        let sum = plus(Z, delta);
        let s = mantissa(sum);
        let d = mantissa(delta) * power_of_two(delta.exponent - sum.exponent);
        if (last || dot(s, s) < dot(d, d)) {
          delta = sum;
          m = 0u;
        }
      }
    }
    if (crossed != DONE) {
      if (outside(dot(z, z), FAR_SQUARED) || extra >= 65536u) { break; }
      extra += 1u;
    } else if (n >= params.max_iter || work <= 0) {
      break;
    } else if (TABLE) {
      let block = 1u << FIRST_LEVEL;
      let reach = delta.exponent + bits(delta.a) - 13;
      if (((m - 1u) & (block - 1u)) == 0u && reach <= params.highest) {
        var chosen = 0u;
        var level = 0u;
        let position = (m - 1u) >> FIRST_LEVEL;
        loop {
          if (level >= params.levels || ((position >> level) << level) != position) { break; }
          if (n + (block << level) > params.max_iter) { break; }
          let entry = first_entry(level) + (position >> level);
          if (entry >= first_entry(level + 1u) || reach > table[6u * entry + 2u].y) { break; }
          level += 1u;
          chosen = entry + 1u;
        }
        if (chosen != 0u) {
          let entry = 6u * (chosen - 1u);
          delta = times(stored(entry), delta);
          if (!JULIA) { delta = plus(delta, times(stored(entry + 3u), dc)); }
          let steps = block << (level - 1u);
          m += steps;
          n += steps;
          work -= 4;
          moved = true;
          continue;
        }
      }
    }
    delta = times(chord(row(m), delta), delta);
    if (!JULIA) { delta = plus(delta, dc); }
    m += 1u;
    n += 1u;
    work -= 1;
    moved = true;
  }

  if (crossed == DONE && n < params.max_iter) {
    state[id] = delta.a.x;
    state[count + id] = delta.a.y;
    state[2u * count + id] = delta.b.x;
    state[3u * count + id] = delta.b.y;
    state[4u * count + id] = delta.c.x;
    state[5u * count + id] = delta.c.y;
    state[6u * count + id] = delta.d.x;
    state[7u * count + id] = delta.d.y;
    state[8u * count + id] = delta.exponent;
    state[9u * count + id] = bitcast<i32>(m);
    state[10u * count + id] = bitcast<i32>(n);
    atomicAdd(&remaining[0], 1u);
    return;
  }
  state[10u * count + id] = bitcast<i32>(n | DONE);
  if (crossed >= params.max_iter) {
    result[id] = params.max_iter;
    result[count + id] = NAN_BITS;
    return;
  }
  result[id] = crossed;
  let turns = log2(log2(dot(z, z)) / 16.0) / log2(f32(POWER)); // safe here, because what has escaped is beyond 2^8, and POWER is 2 or more
  result[count + id] = bitcast<u32>(f32(n) - turns);
}
