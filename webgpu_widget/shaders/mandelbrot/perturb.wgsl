// Escape counts by iterating each pixel's distance from a reference orbit.
// With z = Z + delta, delta' = h delta + dc where h = (z^POWER - Z^POWER) / (z - Z). Z comes from the host, which has it to full precision. A pixel
// whose |z| falls under |delta|, or whose reference ends, goes on from the start of the reference with delta = z (rebasing), so that no pixel needs
// another reference.
// delta is d 2^e: e is 0 from 2^-24 up, below that d is kept near 1, so that width knows no smallest value.
// At each turn a pixel takes the longest table entries (BLA: delta' = A delta + B dc for 2^level steps) that cover delta; then blocks of BLOCK steps
// without a test, where the host found that none is needed, at first such in which f32 does not tell 2 Z + delta from 2 Z; then steps with cheap
// tests; and at last, where those would not do, one step with every test. Each of these is a loop of its own, because a processor's vectors go
// through all that a loop holds whenever one of them is in it.
// Shapes: list u32[], reference vec4f[length + BLOCK], table vec4u[2 entries], orbit vec2f[BLOCK blocks], pairs: the same buffer, state u32[6 or
// 9][count], result u32[2 or 3][count], remaining u32[1].
// reference[m] = (2 Z 2^-w, limit, w): w is 0 but where |Z| < 2^-24. -4 as limit marks the last index of an orbit.
// Where |Z| is near the radius r, limit and w tell r^2 - |Z|^2 as -2 (limit + 1) 2^(w - 2^20), whatever its sign: escape may hang on a delta that Z +
// delta does not show. Where m begins a block (1, 1 + BLOCK, ...): while |delta| < limit there, no rebase and no escape can come before the block's
// end, 0 is never; and while |delta| < w (0 to 1), delta stays under 2^-24 of Z.
// orbit[m + BLOCK - 1] = 2 Z, or a number past all of them where w or limit say that m is one of those.
// table: entry k of a level covers m = 1 + k 2^level: (A, exponent, exponent of the radius), (B, exponent, 0).
// Result: as direct.wgsl.
// Dispatch: as direct.wgsl.
// Accuracy: delta is right to about 2^-24 sqrt(n) of itself, 1e-4 of a pixel after many thousand steps.
// Source: Rebasing and BLA: Zhuoran, fractalforums.org, 2021; C. Heiland-Allen, "Deep zoom theory and practice (again)", 2022.

#import shared/escape
#import shared/levels
#import shared/powers

override POWER: u32 = 2u;
override JULIA: bool = false;
override TABLE: bool = true;
override DERIVATIVE: bool = false;
override LISTED: bool = false;
override TURN: i32 = 2048;             // work of a pixel between two looks at its budget; what it does in it does not depend on the budget

struct Params {
  size: vec2u,
  first: u32,
  count: u32,
  offset: vec2f,        // the picture's centre from the reference point, in units of 2^scale
  step: vec2f,          // one pixel right, one pixel down, in units of 2^scale
  shift: vec2f,
  scale: i32,
  radius_squared: f32,
  max_iter: u32,
  budget: u32,          // work of a pixel in this dispatch, in plain steps
  fresh: u32,
  row_groups: u32,
  start: u32,           // index of the reference's first point for a new pixel
  levels: u32,          // table levels from FIRST_LEVEL on
  highest: i32,         // largest radius exponent of the table
  zero: u32,            // 0
  level_offsets: array<vec4u, 8>,   // first entry of each level
}

@group(0) @binding(0) var<storage, read> list: array<u32>;
@group(0) @binding(1) var<storage, read> reference: array<vec4f>;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;
@group(0) @binding(3) var<storage, read> orbit: array<vec2f>;
@group(0) @binding(4) var<storage, read> pairs: array<array<vec4f, 8>>;   // of a block; only the block's number is no constant
@group(0) @binding(5) var<storage, read_write> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> result: array<u32>;
@group(0) @binding(7) var<storage, read_write> remaining: array<atomic<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

const FIRST_LEVEL = 4u;
const BLOCK = 16u;                     // 2^FIRST_LEVEL
const DONE = 0x80000000u;
const NAN_BITS = 0x7fc00000u;
const FAR_SQUARED = 65536.0;
const CLEAR_SQUARED = 6.25;            // from here on z itself can be iterated
const TINY_SQUARED = 1.4210854715202004e-14;   // 2^-46
const LOW = 0x26800000u;               // 2^-50, as bits
const RANGE = 0x37000000u;             // up to 2^60
const MARKED = 1e10;                   // in `orbit`
const NOTHING = -0x40000000;           // exponent of zero
const NEAR = 1048576.0;                // 2^20
const END = -2.0;                      // limits under it end an orbit

// value 2^exponent, complex
struct Scaled { value: vec2f, exponent: i32 }

fn multiply_add(a: vec2f, b: vec2f, c: vec2f) -> vec2f {
  return vec2f(fma(a.x, b.x, fma(-a.y, b.y, c.x)), fma(a.y, b.x, fma(a.x, b.y, c.y)));
}

fn largest(v: vec2f) -> f32 {
  return max(abs(v.x), abs(v.y));
}

fn exponent_of(x: f32) -> i32 {
  return i32((bitcast<u32>(x) >> 23u) & 255u) - 126;   // |x| < 2^k
}

// max(|re|, |im|) in [0.5, 1)
fn normal(a: Scaled) -> Scaled {
  let size = largest(a.value);
  if (size == 0.0) { return ZERO; }
  let k = exponent_of(size);
  return Scaled(a.value * power_of_two(-k), a.exponent + k);
}

// The square of what lies on a diagonal has a part that is 0, and not what a contracted product leaves of it: so each is rounded by itself.
fn times(a: Scaled, b: Scaled) -> Scaled {
  let u = vec4f(a.value.x * b.value.x, a.value.y * b.value.y, a.value.x * b.value.y, a.value.y * b.value.x);
  let v = bitcast<vec4f>(bitcast<vec4u>(u) ^ vec4u(params.zero));
  return normal(Scaled(vec2f(v.x - v.y, v.z + v.w), max(a.exponent + b.exponent, NOTHING)));
}

fn plus(a: Scaled, b: Scaled) -> Scaled {
  let top = max(a.exponent, b.exponent);
  return normal(Scaled(a.value * power_of_two(a.exponent - top) + b.value * power_of_two(b.exponent - top), top));
}

// delta as the loops want it: exponent 0 where f32 can square it in comfort
fn settled(a: Scaled) -> Scaled { return eased(normal(a)); }

fn eased(b: Scaled) -> Scaled {
  if (b.exponent >= -23) { return Scaled(b.value * power_of_two(b.exponent), 0); }
  return b;
}

fn chord(Z: vec2f, z: vec2f) -> vec2f {
  if (POWER == 3u) { return multiply(z, z) + multiply(z, Z) + multiply(Z, Z); }
  let z2 = multiply(z, z);
  let Z2 = multiply(Z, Z);
  if (POWER == 4u) { return multiply(z + Z, z2 + Z2); }
  let zZ = multiply(z, Z);
  return multiply(z2, z2) + multiply(Z2, Z2) + multiply(zZ, z2 + zZ + Z2);
}

fn scaled_chord(Z: Scaled, z: Scaled) -> Scaled {
  if (POWER == 2u) { return plus(z, Z); }
  let z2 = times(z, z);
  let Z2 = times(Z, Z);
  let zZ = times(z, Z);
  if (POWER == 3u) { return plus(plus(z2, zZ), Z2); }
  if (POWER == 4u) { return times(plus(z, Z), plus(z2, Z2)); }
  return plus(plus(times(z2, z2), times(Z2, Z2)), times(zZ, plus(plus(z2, zZ), Z2)));
}

fn scaled_slope(z: Scaled) -> Scaled {
  var w = z;
  for (var k = 2u; k < POWER; k++) { w = times(w, z); }
  return Scaled(w.value * f32(POWER), w.exponent);
}

struct Pixel {
  delta: Scaled,
  m: u32,
  n: u32,
  crossed: u32,
  z: vec2f,             // Z + delta after a single step
  derivative: Scaled,
}

const ONE = Scaled(vec2f(1.0, 0.0), 0);
const ZERO = Scaled(vec2f(0.0), NOTHING);

// A zero has no exponent of its own: beside any other, it must not decide which one both are brought to.
fn point(R: vec4f) -> Scaled {
  if (largest(R.xy) == 0.0) { return ZERO; }
  return Scaled(0.5 * R.xy, select(i32(R.w), 0, R.w > 0.0));
}

fn real(x: f32, exponent: i32) -> Scaled { return normal(Scaled(vec2f(x, 0.0), exponent)); }

// Whether |Z + delta|^2 > r^2 where |Z| is near the radius r: 2 Re(conj(Z) delta) + |delta|^2 > r^2 - |Z|^2.
fn over(R: vec4f, d: Scaled) -> bool {
  let grown = plus(real(dot(R.xy, d.value), d.exponent), real(dot(d.value, d.value), 2 * max(d.exponent, NOTHING / 2)));
  return plus(grown, real(2.0 * (R.z + 1.0), i32(R.w - NEAR))).value.x > 0.0;
}

// Z + delta of the point just reached: escape, rebase.
fn inspect(pixel: ptr<function, Pixel>, R: vec4f) {
  let sum = plus(point(R), (*pixel).delta);
  (*pixel).z = sum.value * power_of_two(sum.exponent);
  let near = normal((*pixel).delta);
  let small = sum.exponent < near.exponent || (sum.exponent == near.exponent && dot(sum.value, sum.value) < dot(near.value, near.value));
  if ((*pixel).crossed == DONE) {
    var crossed = outside(dot((*pixel).z, (*pixel).z), params.radius_squared);
    if (R.w >= 1.0) { crossed = over(R, near); }
    if (crossed) { (*pixel).crossed = (*pixel).n; }
  }
  if (small || R.z < END) {
    (*pixel).delta = eased(sum);
    (*pixel).m = 0u;
  }
}

fn step(q: vec2f, R: vec2f, s: f32, dcs: vec2f) -> vec2f {
  if (POWER == 2u) { return multiply_add(fma(vec2f(s), q, R), q, dcs); }
  let Z = 0.5 * R;
  return multiply_add(chord(Z, fma(vec2f(s), q, Z)), q, dcs);
}

// A step of a delta that does not show beside Z.
fn linear(q: vec2f, R: vec2f, dcs: vec2f) -> vec2f {
  if (POWER == 2u) { return multiply_add(R, q, dcs); }
  return multiply_add(slope(0.5 * R), q, dcs);
}

// 2 Z of point m
fn twice(m: u32) -> vec2f {
  return orbit[m + BLOCK - 1u];
}

// One step of any delta, but for what `inspect` does.
fn single(pixel: ptr<function, Pixel>, dc: Scaled) {
  let Z = point(reference[(*pixel).m]);
  let z = plus(Z, (*pixel).delta);
  if (DERIVATIVE) { (*pixel).derivative = differentiated((*pixel).derivative, scaled_slope(z)); }
  (*pixel).delta = eased(plus(times(scaled_chord(Z, z), (*pixel).delta), dc));
  (*pixel).m += 1u;
  (*pixel).n += 1u;
}

fn differentiated(d: Scaled, slope: Scaled) -> Scaled {
  let grown = times(slope, d);
  if (JULIA) { return grown; }
  return plus(grown, ONE);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let tile = group.y * params.row_groups + group.x;
  let count = params.count;
  var id = tile * 64u + invocation;
  if (!LISTED) {
    let tiles = (params.size.x + 7u) / 8u;
    let across = (tile % tiles) * 8u + invocation % 8u;
    if (across >= params.size.x) { return; }
    id = ((tile / tiles) * 8u + invocation / 8u) * params.size.x + across;
  }
  if (id >= count) { return; }
  var index = params.first + id;
  if (LISTED) { index = list[id]; }
  let half = 0.5 * vec2f(params.size) - 0.5;
  let at = vec2f(f32(index % params.size.x), f32(index / params.size.x)) - half + params.shift;
  let dc0 = normal(Scaled(fma(at, params.step, params.offset), params.scale));
  var dc = dc0;
  if (JULIA) { dc = ZERO; }

  var pixel = Pixel(settled(dc0), params.start, 0u, DONE, vec2f(0.0), ONE);
  var stint = 0u;       // steps with tests before anything faster is tried again
  if (params.fresh == 0u) {
    pixel.n = state[3u * count + id];
    if ((pixel.n & DONE) != 0u) { return; }
    pixel.delta = Scaled(bitcast<vec2f>(vec2u(state[id], state[count + id])), bitcast<i32>(state[2u * count + id]));
    pixel.m = state[4u * count + id];
    stint = state[5u * count + id];
    if (DERIVATIVE) {
      pixel.derivative = Scaled(bitcast<vec2f>(vec2u(state[6u * count + id], state[7u * count + id])), bitcast<i32>(state[8u * count + id]));
    }
  } else if (!JULIA) {
    pixel.n = 1u;       // z_1 = c, so delta is dc
  }

  var work = i32(params.budget);
  var extra = 0u;
  var arrived = params.fresh != 0u;   // at a point that has to be inspected
  loop {
    let escaped = pixel.crossed != DONE;
    if (escaped) {
      if (outside(dot(pixel.z, pixel.z), CLEAR_SQUARED) || extra >= 65536u) { break; }
      extra += 1u;
    } else if (!arrived && (pixel.n >= params.max_iter || work <= 0)) {
      break;
    }
    var q = pixel.delta.value;
    var e = pixel.delta.exponent;
    var m = pixel.m;
    var n = pixel.n;
    var derivative = pixel.derivative;
    let before = n;
    var stuck = escaped || arrived;
    let idle = largest(q) == 0.0 && largest(dc.value) == 0.0;   // on the reference itself, for good
    var turn = TURN;

    while (TABLE && !stuck && turn > 0 && ((m - 1u) & (BLOCK - 1u)) == 0u) {
      // |delta| < 2^reach, but for the corner that the host took off the radius
      let reach = e + exponent_of(largest(q));
      if (reach > params.highest) { break; }
      var chosen = 0u;
      var level = 0u;
      let position = (m - 1u) >> FIRST_LEVEL;
      loop {
        if (level >= params.levels || ((position >> level) << level) != position) { break; }
        if (n + (BLOCK << level) > params.max_iter) { break; }
        let entry = first_entry(level) + (position >> level);
        if (entry >= first_entry(level + 1u) || reach > bitcast<i32>(table[2u * entry].w)) { break; }
        level += 1u;
        chosen = entry + 1u;
      }
      if (chosen == 0u) { break; }
      let a = table[2u * chosen - 2u];
      let b = table[2u * chosen - 1u];
      let A = Scaled(bitcast<vec2f>(a.xy), bitcast<i32>(a.z));
      let B = Scaled(bitcast<vec2f>(b.xy), bitcast<i32>(b.z));
      let delta = eased(plus(Scaled(multiply(A.value, q), A.exponent + e), Scaled(multiply(B.value, dc.value), B.exponent + dc.exponent)));
      if (DERIVATIVE) {
        derivative = times(A, derivative);
        if (!JULIA) { derivative = plus(derivative, B); }
      }
      let steps = BLOCK << (level - 1u);
      q = delta.value;
      e = delta.exponent;
      m += steps;
      n += steps;
      turn -= 12;
      let u = q * power_of_two(e);
      let z = fma(vec2f(0.5), twice(m), u);
      let squared = dot(z, z);
      arrived = squared > params.radius_squared || squared < TINY_SQUARED;
      stuck = arrived;
      if (!arrived && squared < dot(u, u)) {
        q = z;
        e = 0;
        m = 0u;
      }
    }

    // A limit covers its own point too, so that points between two blocks need no look either.
    // Beside a dc that outweighs it by far, delta has to be scaled anew at each step.
    let begun = m;
    var s = power_of_two(e);
    var dcs = dc.value * power_of_two(dc.exponent - e);
    var blocks = 0u;
    var lighter = false;  // the first of the two loops will do again
    if (!stuck && turn > 0 && ((m - 1u) & (BLOCK - 1u)) == 0u && dc.exponent - e <= 60) {
      blocks = min((u32(turn) - 1u) / BLOCK + 1u, (params.max_iter - n) / BLOCK);
    }
    while (blocks > 0u && !DERIVATIVE) {
      let R = reference[m];
      if (largest(q) * s >= min(R.z, R.w)) { break; }
      // Written out by eights, as in direct.wgsl.
      let g = (m + BLOCK - 1u) / BLOCK;
      let R0 = pairs[g][0];
      let R1 = pairs[g][1];
      let R2 = pairs[g][2];
      let R3 = pairs[g][3];
      let R4 = pairs[g][4];
      let R5 = pairs[g][5];
      let R6 = pairs[g][6];
      let R7 = pairs[g][7];
      q = linear(linear(q, R0.xy, dcs), R0.zw, dcs);
      q = linear(linear(q, R1.xy, dcs), R1.zw, dcs);
      q = linear(linear(q, R2.xy, dcs), R2.zw, dcs);
      q = linear(linear(q, R3.xy, dcs), R3.zw, dcs);
      q = linear(linear(q, R4.xy, dcs), R4.zw, dcs);
      q = linear(linear(q, R5.xy, dcs), R5.zw, dcs);
      q = linear(linear(q, R6.xy, dcs), R6.zw, dcs);
      q = linear(linear(q, R7.xy, dcs), R7.zw, dcs);
      m += BLOCK;
      blocks -= 1u;
      if (bitcast<u32>(largest(q)) - LOW > RANGE) {
        let delta = settled(Scaled(q, e));
        q = delta.value;
        e = delta.exponent;
        s = power_of_two(e);
        dcs = dc.value * power_of_two(dc.exponent - e);
        if (dc.exponent - e > 60) { blocks = 0u; }
      }
    }
    while (blocks > 0u) {
      let R = reference[m];
      let size = largest(q) * s;
      lighter = size < min(R.z, R.w) && !DERIVATIVE;
      if (lighter || size >= R.z) { break; }
      if (DERIVATIVE) {
        derivative = normal(derivative);
        if (derivative.exponent < 0 && !JULIA) { derivative = Scaled(derivative.value * power_of_two(derivative.exponent), 0); }
        let unit = power_of_two(-derivative.exponent);
        for (var i = 0u; i < BLOCK; i++) {
          let R = twice(m + i);
          derivative.value = multiply(slope(fma(vec2f(0.5), R, s * q)), derivative.value);
          if (!JULIA) { derivative.value.x += unit; }
          q = step(q, R, s, dcs);
        }
        derivative = normal(derivative);
      } else {
        let g = (m + BLOCK - 1u) / BLOCK;
        let R0 = pairs[g][0];
        let R1 = pairs[g][1];
        let R2 = pairs[g][2];
        let R3 = pairs[g][3];
        let R4 = pairs[g][4];
        let R5 = pairs[g][5];
        let R6 = pairs[g][6];
        let R7 = pairs[g][7];
        q = step(step(q, R0.xy, s, dcs), R0.zw, s, dcs);
        q = step(step(q, R1.xy, s, dcs), R1.zw, s, dcs);
        q = step(step(q, R2.xy, s, dcs), R2.zw, s, dcs);
        q = step(step(q, R3.xy, s, dcs), R3.zw, s, dcs);
        q = step(step(q, R4.xy, s, dcs), R4.zw, s, dcs);
        q = step(step(q, R5.xy, s, dcs), R5.zw, s, dcs);
        q = step(step(q, R6.xy, s, dcs), R6.zw, s, dcs);
        q = step(step(q, R7.xy, s, dcs), R7.zw, s, dcs);
      }
      m += BLOCK;
      blocks -= 1u;
      if (bitcast<u32>(largest(q)) - LOW > RANGE) {
        let delta = settled(Scaled(q, e));
        q = delta.value;
        e = delta.exponent;
        s = power_of_two(e);
        dcs = dc.value * power_of_two(dc.exponent - e);
        if (dc.exponent - e > 60) { blocks = 0u; }
      }
    }
    n += m - begun;
    turn -= i32(m - begun);
    if (m > begun) {
      let u = s * q;
      let z = fma(vec2f(0.5), twice(m), u);
      let squared = dot(z, z);
      arrived = squared > params.radius_squared || squared < TINY_SQUARED;
      stuck = arrived;
      if (!arrived && squared < dot(u, u)) {
        q = z;
        e = 0;
        s = 1.0;
        dcs = dc.value * power_of_two(dc.exponent);
        m = 0u;
      }
    }
    stint = select(min(2u * stint + BLOCK, 7u * BLOCK), 0u, n > before);

    // Steps in f32 until one of them needs more, or something faster may be tried.
    let first = n;
    var left = select(min(stint + BLOCK, params.max_iter - n), 0u, stuck || lighter || turn <= 0);
    var R = twice(m);
    while (left > 0u) {
      left -= 1u;
      let next = step(q, R, s, dcs);
      let S = twice(m + 1u);
      let u = s * next;
      let z = fma(vec2f(0.5), S, u);
      let squared = dot(z, z);
      let size = bitcast<u32>(largest(next));
      stuck = R.x >= MARKED || squared > params.radius_squared || squared < TINY_SQUARED || (size - LOW > RANGE && !idle);
      // The slope at a delta under f32's range, beside a Z of 0, is lost even where dc makes up for the rest.
      if (DERIVATIVE && e < 0 && largest(R) == 0.0) { stuck = true; }
      if (stuck) { break; }
      if (DERIVATIVE) { derivative = differentiated(derivative, Scaled(slope(fma(vec2f(0.5), R, s * q)), 0)); }
      q = next;
      m += 1u;
      n += 1u;
      R = S;
      if (squared < dot(u, u)) {
        q = z;
        e = 0;
        s = 1.0;
        dcs = dc.value * power_of_two(dc.exponent);
        m = 0u;
        R = vec2f(0.0);
      }
      if (((m - 1u) & (BLOCK - 1u)) == 0u && left <= BLOCK) { break; }
    }
    work -= TURN - turn + 2 * i32(n - first);

    pixel.delta = settled(Scaled(q, e));
    pixel.m = m;
    pixel.n = n;
    pixel.derivative = derivative;
    if (stuck) {
      if (!arrived) {
        single(&pixel, dc);
        work -= 6;
      }
      arrived = false;
      inspect(&pixel, reference[pixel.m]);
    }
  }

  if (pixel.crossed == DONE && pixel.n < params.max_iter) {
    state[id] = bitcast<u32>(pixel.delta.value.x);
    state[count + id] = bitcast<u32>(pixel.delta.value.y);
    state[2u * count + id] = bitcast<u32>(pixel.delta.exponent);
    state[3u * count + id] = pixel.n;
    state[4u * count + id] = pixel.m;
    state[5u * count + id] = stint;
    if (DERIVATIVE) {
      state[6u * count + id] = bitcast<u32>(pixel.derivative.value.x);
      state[7u * count + id] = bitcast<u32>(pixel.derivative.value.y);
      state[8u * count + id] = bitcast<u32>(pixel.derivative.exponent);
    }
    atomicAdd(&remaining[0], 1u);
    return;
  }
  state[3u * count + id] = pixel.n | DONE;
  if (pixel.crossed >= params.max_iter) {
    result[id] = params.max_iter;
    result[count + id] = NAN_BITS;
    if (DERIVATIVE) { result[2u * count + id] = NAN_BITS; }
    return;
  }
  // On to the far radius.
  let start = point(reference[1]);
  let c = start.value * power_of_two(start.exponent) + dc.value * power_of_two(dc.exponent);
  for (var i = 0u; i < 256u; i++) {
    if (outside(dot(pixel.z, pixel.z), FAR_SQUARED)) { break; }
    if (DERIVATIVE) { pixel.derivative = differentiated(pixel.derivative, Scaled(slope(pixel.z), 0)); }
    var z = pixel.z;
    for (var k = 1u; k < POWER; k++) { z = multiply(z, pixel.z); }
    pixel.z = z + c;
    pixel.n += 1u;
  }
  result[id] = pixel.crossed;
  let squared = dot(pixel.z, pixel.z);
  let turns = log2(log2(squared) / 16.0) / log2(f32(POWER)); // safe here, because what has escaped is beyond 2^8, and POWER is 2 or more
  result[count + id] = bitcast<u32>(f32(pixel.n) - turns);
  if (DERIVATIVE) {
    let derivative = normal(pixel.derivative);
    let pixels = log2(params.step.x) + f32(params.scale + derivative.exponent); // safe here, because a pixel has a width
    let length_2 = log2(max(length(derivative.value), 1e-37));
    // safe here, because what has escaped is beyond 2^8
    let reach = 0.5 * log2(squared) + log2(0.5 * log(squared)) - length_2 - pixels;
    result[2u * count + id] = bitcast<u32>(exp2(reach));
  }
}
