// perturb.wgsl - escape counts by iterating each pixel's distance from a reference orbit.
//
// What      With z = Z + delta, delta' = h delta + dc where h = (z^POWER - Z^POWER) / (z - Z). Z comes from the host, which has
//           it to full precision. A pixel whose |z| falls under |delta|, or whose reference ends, goes on from the start of
//           the reference with delta = z (rebasing), so that no pixel needs another reference.
//           delta is d 2^e: e is 0 from 2^-24 up, below that d is kept near 1, so that width knows no smallest value.
//           At each turn a pixel takes the longest table entry (BLA: delta' = A delta + B dc for 2^level steps) that covers
//           delta; else BLOCK plain steps without a test, taken back if the pixel came near rebasing or escape; else single steps.
// Shapes    list u32[], reference vec4f[length + BLOCK], table vec4u[2 entries], state u32[6 or 9][count],
//           result u32[2 or 3][count], remaining u32[1].
//           reference[m] = (2 Z 2^-w, limit, w): w is 0 but where |Z| < 2^-24. While |delta| < limit no rebase and no escape
//           can come; 0 is never, -4 marks the last index of an orbit. Where |Z| is nearly 2, limit and w tell 4 - |Z|^2 as
//           -limit 2^(w - 2^20): escape may hang on a delta that Z + delta does not show.
//           table: entry k of a level covers m = 1 + k 2^level: (A, exponent, exponent of the radius), (B, exponent, 0).
// Result    as direct.wgsl.
// Dispatch  as direct.wgsl.
// Accuracy  delta is right to about 2^-24 sqrt(n) of itself, 1e-4 of a pixel after many thousand steps.
// Source    Rebasing and BLA: Zhuoran, fractalforums.org, 2021; C. Heiland-Allen, "Deep zoom theory and practice (again)", 2022.

override BLOCK: u32 = 16u;         // 2^FIRST_LEVEL
override FIRST_LEVEL: u32 = 4u;
override POWER: u32 = 2u;
override JULIA: bool = false;
override TABLE: bool = true;
override DERIVATIVE: bool = false;
override LISTED: bool = false;

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
  unused: u32,
  level_offsets: array<vec4u, 8>,   // first entry of each level
}

@group(0) @binding(0) var<storage, read> list: array<u32>;
@group(0) @binding(1) var<storage, read> reference: array<vec4f>;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> result: array<u32>;
@group(0) @binding(5) var<storage, read_write> remaining: array<atomic<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

const DONE = 0x80000000u;
const NAN_BITS = 0x7fc00000u;
const FAR_SQUARED = 65536.0;
const SMALL = 5.9604644775390625e-8;   // 2^-24
const NOTHING = -0x40000000;           // exponent of zero
const NEAR = 1048576.0;                // 2^20
const END = -2.0;                      // limits under it end an orbit

// value 2^exponent, complex
struct Scaled { value: vec2f, exponent: i32 }

fn multiply(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(fma(a.x, b.x, -a.y * b.y), fma(a.x, b.y, a.y * b.x));
}

fn multiply_add(a: vec2f, b: vec2f, c: vec2f) -> vec2f {
  return vec2f(fma(a.x, b.x, fma(-a.y, b.y, c.x)), fma(a.x, b.y, fma(a.y, b.x, c.y)));
}

// 2^k; 0 under f32's normal range
fn power_of_two(k: i32) -> f32 {
  return bitcast<f32>(u32(clamp(k + 127, 0, 254)) << 23u);
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
  if (size == 0.0) { return Scaled(vec2f(0.0), NOTHING); }
  let k = exponent_of(size);
  return Scaled(a.value * power_of_two(-k), a.exponent + k);
}

fn times(a: Scaled, b: Scaled) -> Scaled {
  return normal(Scaled(multiply(a.value, b.value), max(a.exponent + b.exponent, NOTHING)));
}

fn plus(a: Scaled, b: Scaled) -> Scaled {
  let top = max(a.exponent, b.exponent);
  return normal(Scaled(a.value * power_of_two(a.exponent - top) + b.value * power_of_two(b.exponent - top), top));
}

// delta as the loops want it: exponent 0 where f32 can square it in comfort
fn settled(a: Scaled) -> Scaled {
  let b = normal(a);
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

fn slope(z: vec2f) -> vec2f {
  if (POWER == 2u) { return z + z; }
  if (POWER == 3u) { return 3.0 * multiply(z, z); }
  if (POWER == 4u) { return 4.0 * multiply(z, multiply(z, z)); }
  let w = multiply(z, z);
  return 5.0 * multiply(w, w);
}

fn scaled_slope(z: Scaled) -> Scaled {
  var w = z;
  for (var k = 2u; k < POWER; k++) { w = times(w, z); }
  return Scaled(w.value * f32(POWER), w.exponent);
}

fn outside(squared: f32, limit: f32) -> bool {
  return (bitcast<u32>(squared) & 0x7fffffffu) > bitcast<u32>(limit);
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

fn point(R: vec4f) -> Scaled {
  return Scaled(0.5 * R.xy, select(i32(R.w), 0, R.w > 0.0));
}

// Whether |Z + delta|^2 > 4 where |Z| is nearly 2: 2 Re(conj(Z) delta) + |delta|^2 > 4 - |Z|^2.
fn over(R: vec4f, delta: Scaled) -> bool {
  let d = normal(delta);
  let rest = -R.z * power_of_two(i32(R.w - NEAR) - d.exponent);
  return fma(dot(d.value, d.value), power_of_two(d.exponent), dot(R.xy, d.value)) > rest;
}

// Z + delta of the point just reached: escape, rebase.
fn inspect(pixel: ptr<function, Pixel>, R: vec4f) {
  var delta = (*pixel).delta;
  var small: bool;
  if (delta.exponent == 0 && R.w == 0.0) {
    (*pixel).z = fma(vec2f(0.5), R.xy, delta.value);
    small = dot((*pixel).z, (*pixel).z) < dot(delta.value, delta.value);
    if (small || R.z < END) { delta = settled(Scaled((*pixel).z, 0)); }
  } else {
    let sum = plus(point(R), delta);
    (*pixel).z = sum.value * power_of_two(sum.exponent);
    let near = normal(delta);
    small = sum.exponent < near.exponent || (sum.exponent == near.exponent && dot(sum.value, sum.value) < dot(near.value, near.value));
    if (small || R.z < END) { delta = settled(sum); }
  }
  if ((*pixel).crossed == DONE) {
    var crossed = outside(dot((*pixel).z, (*pixel).z), params.radius_squared);
    if (R.w > 0.0 && params.radius_squared == 4.0) { crossed = over(R, (*pixel).delta); }
    if (crossed) { (*pixel).crossed = (*pixel).n; }
  }
  if (small || R.z < END) {
    (*pixel).delta = delta;
    (*pixel).m = 0u;
  }
}

// A plain step; `worst` rises to 0 when delta is not under the limit.
struct Plain { q: vec2f, worst: f32 }

fn plain(p: Plain, R: vec4f, s: f32, dcs: vec2f) -> Plain {
  let worst = max(p.worst, fma(largest(p.q), s, -R.z));
  if (POWER == 2u) { return Plain(multiply_add(fma(vec2f(s), p.q, R.xy), p.q, dcs), worst); }
  let Z = 0.5 * R.xy;
  return Plain(multiply_add(chord(Z, fma(vec2f(s), p.q, Z)), p.q, dcs), worst);
}

// One iteration with every test.
fn single(pixel: ptr<function, Pixel>, dc: Scaled) {
  let R = reference[(*pixel).m];
  let delta = (*pixel).delta;
  if (delta.exponent == 0 && R.w == 0.0) {
    let Z = 0.5 * R.xy;
    var h = R.xy + delta.value;
    if (POWER != 2u) { h = chord(Z, Z + delta.value); }
    if (DERIVATIVE) {
      var derivative = times(Scaled(slope(Z + delta.value), 0), (*pixel).derivative);
      if (!JULIA) { derivative = plus(derivative, ONE); }
      (*pixel).derivative = derivative;
    }
    let next = multiply(h, delta.value) + dc.value * power_of_two(dc.exponent);
    if (largest(next) < SMALL) { (*pixel).delta = settled(plus(times(Scaled(h, 0), delta), dc)); }
    else { (*pixel).delta = Scaled(next, 0); }
  } else {
    let Z = point(R);
    let z = plus(Z, delta);
    if (DERIVATIVE) {
      var derivative = times(scaled_slope(z), (*pixel).derivative);
      if (!JULIA) { derivative = plus(derivative, ONE); }
      (*pixel).derivative = derivative;
    }
    (*pixel).delta = settled(plus(times(scaled_chord(Z, z), delta), dc));
  }
  (*pixel).m += 1u;
  (*pixel).n += 1u;
  inspect(pixel, reference[(*pixel).m]);
}

fn first_entry(level: u32) -> u32 {
  return params.level_offsets[level / 4u][level % 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = group.y * params.row_groups + group.x;
  let count = params.count;
  var id = tile * 64u + lane;
  if (!LISTED) {
    let tiles = (params.size.x + 7u) / 8u;
    let across = (tile % tiles) * 8u + lane % 8u;
    if (across >= params.size.x) { return; }
    id = ((tile / tiles) * 8u + lane / 8u) * params.size.x + across;
  }
  if (id >= count) { return; }
  var index = params.first + id;
  if (LISTED) { index = list[id]; }
  let half = 0.5 * vec2f(params.size) - 0.5;
  let at = vec2f(f32(index % params.size.x), f32(index / params.size.x)) - half + params.shift;
  let dc0 = normal(Scaled(fma(at, params.step, params.offset), params.scale));
  var dc = dc0;
  if (JULIA) { dc = Scaled(vec2f(0.0), NOTHING); }

  var pixel = Pixel(settled(dc0), params.start, 0u, DONE, vec2f(0.0), ONE);
  if (params.fresh == 0u) {
    pixel.n = state[3u * count + id];
    if ((pixel.n & DONE) != 0u) { return; }
    pixel.delta = Scaled(bitcast<vec2f>(vec2u(state[id], state[count + id])), bitcast<i32>(state[2u * count + id]));
    pixel.m = state[4u * count + id];
    pixel.crossed = state[5u * count + id];
    if (DERIVATIVE) {
      pixel.derivative = Scaled(bitcast<vec2f>(vec2u(state[6u * count + id], state[7u * count + id])), bitcast<i32>(state[8u * count + id]));
    }
  } else {
    if (!JULIA) { pixel.n = 1u; }   // z_1 = c, so delta is dc
    inspect(&pixel, reference[pixel.m]);
  }

  var work = i32(params.budget);
  var extra = 0u;
  var failures = 0u;
  var patience = 0u;    // aligned turns to go before plain blocks are tried again
  loop {
    if (pixel.crossed != DONE) {
      if (outside(dot(pixel.z, pixel.z), FAR_SQUARED) || extra >= 65536u) { break; }
      extra += 1u;
      single(&pixel, dc);
      continue;
    }
    if (pixel.n >= params.max_iter || work <= 0) { break; }
    let aligned = ((pixel.m - 1u) & (BLOCK - 1u)) == 0u;
    if (aligned) {
      if (TABLE) {
        // |delta| < 2^reach, but for the corner that the host took off the radius
        let reach = pixel.delta.exponent + exponent_of(largest(pixel.delta.value));
        if (reach <= params.highest) {
          var chosen = 0u;
          var level = 0u;
          let position = (pixel.m - 1u) >> FIRST_LEVEL;
          loop {
            if (level >= params.levels || ((position >> level) << level) != position) { break; }
            if (pixel.n + (BLOCK << level) > params.max_iter) { break; }
            let entry = first_entry(level) + (position >> level);
            if (entry >= first_entry(level + 1u) || reach > bitcast<i32>(table[2u * entry].w)) { break; }
            level += 1u;
            chosen = entry + 1u;
          }
          if (chosen != 0u) {
            let a = table[2u * chosen - 2u];
            let b = table[2u * chosen - 1u];
            let A = Scaled(bitcast<vec2f>(a.xy), bitcast<i32>(a.z));
            let B = Scaled(bitcast<vec2f>(b.xy), bitcast<i32>(b.z));
            pixel.delta = settled(plus(times(A, pixel.delta), times(B, dc)));
            if (DERIVATIVE) {
              pixel.derivative = times(A, pixel.derivative);
              if (!JULIA) { pixel.derivative = plus(pixel.derivative, B); }
            }
            let steps = BLOCK << (level - 1u);
            pixel.m += steps;
            pixel.n += steps;
            work -= 12;
            inspect(&pixel, reference[pixel.m]);
            continue;
          }
        }
      }
      if (patience == 0u && pixel.n + BLOCK <= params.max_iter && largest(pixel.delta.value) * power_of_two(pixel.delta.exponent) < reference[pixel.m].z) {
        var q = pixel.delta.value;
        let s = power_of_two(pixel.delta.exponent);
        let dcs = dc.value * power_of_two(dc.exponent - pixel.delta.exponent);
        var p = Plain(q, -1.0);
        var derivative = normal(pixel.derivative);
        if (DERIVATIVE) {
          let unit = power_of_two(-derivative.exponent);
          for (var i = 0u; i < BLOCK; i++) {
            let R = reference[pixel.m + i];
            derivative.value = multiply(slope(fma(vec2f(0.5), R.xy, s * p.q)), derivative.value);
            if (!JULIA) { derivative.value.x += unit; }
            p = plain(p, R, s, dcs);
          }
        } else {
          // Written out in fours, as in direct.wgsl.
          for (var m = pixel.m; m < pixel.m + BLOCK; m += 4u) {
            let R0 = reference[m];
            let R1 = reference[m + 1u];
            let R2 = reference[m + 2u];
            let R3 = reference[m + 3u];
            p = plain(plain(plain(plain(p, R0, s, dcs), R1, s, dcs), R2, s, dcs), R3, s, dcs);
          }
        }
        q = p.q;
        let near = p.worst >= 0.0;
        work -= i32(BLOCK);
        if (!near) {
          failures = 0u;
          pixel.delta = settled(Scaled(q, pixel.delta.exponent));
          if (DERIVATIVE) { pixel.derivative = normal(derivative); }
          pixel.m += BLOCK;
          pixel.n += BLOCK;
          inspect(&pixel, reference[pixel.m]);
          continue;
        }
        // Near once, near again: look less often.
        failures = min(failures + 1u, 3u);
        patience = (1u << failures) - 1u;
      } else if (patience > 0u) {
        patience -= 1u;
      }
    }
    // Step by step to the next aligned index, in plain f32 while numbers are of a size for that.
    let first = pixel.n;
    if (!DERIVATIVE && pixel.delta.exponent == 0) {
      var q = pixel.delta.value;
      var m = pixel.m;
      var n = pixel.n;
      var R = reference[m];
      let dcs = dc.value * power_of_two(dc.exponent);
      loop {
        if (R.w != 0.0 || n >= params.max_iter) { break; }
        var next: vec2f;
        if (POWER == 2u) {
          next = multiply_add(R.xy + q, q, dcs);
        } else {
          next = multiply_add(chord(0.5 * R.xy, fma(vec2f(0.5), R.xy, q)), q, dcs);
        }
        let S = reference[m + 1u];
        if (largest(next) < SMALL || S.w != 0.0) { break; }
        let z = fma(vec2f(0.5), S.xy, next);
        let squared = dot(z, z);
        if (squared > params.radius_squared || largest(z) < SMALL) { break; }
        q = next;
        R = S;
        m += 1u;
        n += 1u;
        if (squared < dot(q, q) || S.z < END) {
          q = z;
          m = 0u;
          R = reference[0];
        }
        if (((m - 1u) & (BLOCK - 1u)) == 0u) { break; }
      }
      pixel.delta.value = q;
      pixel.m = m;
      pixel.n = n;
      work -= 2 * i32(n - first);
    }
    if (pixel.n == first) {
      single(&pixel, dc);
      work -= 6;
    }
  }

  if (pixel.crossed == DONE && pixel.n < params.max_iter) {
    state[id] = bitcast<u32>(pixel.delta.value.x);
    state[count + id] = bitcast<u32>(pixel.delta.value.y);
    state[2u * count + id] = bitcast<u32>(pixel.delta.exponent);
    state[3u * count + id] = pixel.n;
    state[4u * count + id] = pixel.m;
    state[5u * count + id] = pixel.crossed;
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
  result[id] = pixel.crossed;
  let squared = dot(pixel.z, pixel.z);
  let turns = log2(log2(squared) / 16.0) / log2(f32(POWER));
  result[count + id] = bitcast<u32>(f32(pixel.n) - turns);
  if (DERIVATIVE) {
    let derivative = normal(pixel.derivative);
    let pixels = log2(params.step.x) + f32(params.scale) + f32(derivative.exponent);
    let reach = 0.5 * log2(squared) + log2(0.5 * log(squared)) - log2(length(derivative.value)) - pixels;
    result[2u * count + id] = bitcast<u32>(exp2(reach));
  }
}
