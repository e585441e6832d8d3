// Escape counts by iterating each pixel in f32.
// z -> z^POWER + c from z = 0 (Mandelbrot), from the pixel (JULIA), or with |re|, |im| taken first (SHIP).
// 16 iterations run between two escape tests, 64 once 64 are done; when a test fails, the block is done again by sixteens, and the last sixteen step
// by step.
// A pixel keeps its state, so a dispatch does at most `budget` iterations of it and the next one goes on.
// Shapes: list u32[] (LISTED: the pixels to do), state u32[5, with DERIVATIVE 6][count], result u32[2 or 3][count], remaining u32[1].
// Result: plane 0: first n with |z_n| > radius, or max_iter. Plane 1: f32 bits of the continuous count at radius 2^8, NaN where it did not escape.
// Plane 2 (DERIVATIVE): f32 bits of the exterior distance in pixels.
// Dispatch: a workgroup for each tile of 8 x 8 pixels of the band (LISTED: for 64 pixels), folded into rows of `row_groups`.
// Accuracy: c is rounded to f32, so a pixel must be wider than about 2^-18 |c|; deeper views are perturb.wgsl's.
// Source: Escape time with the distance estimate of Milnor and Thurston; Brent's cycle test on the f32 orbit, which is exact: an f32 orbit that meets
// an earlier state never leaves.

#import shared/escape
#import shared/powers

override POWER: u32 = 2u;
override JULIA: bool = false;
override SHIP: bool = false;
override INTERIOR: bool = true;    // skip the cardioid, the disc of period 2, and cycles
override DERIVATIVE: bool = false;
override LISTED: bool = false;
override LADDER: bool = true;      // false for a processor's vectors, which go through both loops whether they need them or not

struct Params {
  size: vec2u,          // the whole picture
  first: u32,           // first pixel of this band (not LISTED)
  count: u32,           // pixels in this band
  center: vec2f,        // offset (0, 0) in the plane
  step: vec2f,          // one pixel to the right, one pixel down (negative)
  shift: vec2f,         // of the sample in its pixel; (0, 0) is the pixel's centre
  julia: vec2f,
  radius_squared: f32,
  max_iter: u32,
  budget: u32,          // most iterations of a pixel in this dispatch
  fresh: u32,           // 1: begin, 0: go on
  row_groups: u32,
  unused: u32,
}

@group(0) @binding(0) var<storage, read> list: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;
@group(0) @binding(3) var<storage, read_write> remaining: array<atomic<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

const DONE = 0x80000000u;
const NAN_BITS = 0x7fc00000u;
const FAR_SQUARED = 65536.0;

fn advance(z: vec2f, c: vec2f) -> vec2f {
  if (SHIP) {
    return vec2f(fma(z.x, z.x, fma(-z.y, z.y, c.x)), fma(abs(z.x + z.x), abs(z.y), c.y));
  }
  if (POWER == 2u) {
    return vec2f(fma(z.x, z.x, fma(-z.y, z.y, c.x)), fma(z.x + z.x, z.y, c.y));
  }
  var w = multiply(z, z);
  if (POWER == 3u) {
    w = multiply(w, z);
  } else {
    w = multiply(w, w);
    if (POWER == 5u) { w = multiply(w, z); }
  }
  return w + c;
}

// Two steps. In the plane of power 2 they take seven instructions, not eight: the first leaves y / 2, which needs no doubling,
// and 4 (y / 2) serves both products of the second. Powers of two change no rounding.
fn pair(z: vec2f, c: vec2f) -> vec2f {
  if (POWER != 2u) { return advance(advance(z, c), c); }
  let x = fma(z.x, z.x, fma(-z.y, z.y, c.x));
  var h = fma(z.x, z.y, 0.5 * c.y);
  if (SHIP) { h = fma(abs(z.x), abs(z.y), 0.5 * c.y); }
  let t = 4.0 * h;
  let last = fma(x, x, fma(-t, h, c.x));
  if (SHIP) { return vec2f(last, fma(abs(x), abs(t), c.y)); }
  return vec2f(last, fma(x, t, c.y));
}

// Written out: a driver that does not unroll a loop would pay for its test at each iteration.
fn sixteen(z: vec2f, c: vec2f) -> vec2f {
  let four = pair(pair(z, c), c);
  let eight = pair(pair(four, c), c);
  let twelve = pair(pair(eight, c), c);
  return pair(pair(twelve, c), c);
}

fn known_inside(c: vec2f) -> bool {
  let y2 = c.y * c.y;
  let x = c.x - 0.25;
  let q = fma(x, x, y2);
  let right = c.x + 1.0;
  return q * (q + x) < 0.2499999 * y2 || fma(right, right, y2) < 0.0624999;
}

// Brent: z is compared with an earlier one, which is renewed when n passes a power of two. The state keeps it from dispatch to
// dispatch, however short those are.
struct Cycle { held: vec2f, until: u32 }

fn renewal(n: u32) -> u32 {
  return select(64u, 128u << firstLeadingBit(n >> 6u), n >= 64u);
}

fn closed(cycle: ptr<function, Cycle>, z: vec2f, n: u32) -> bool {
  if (all(z == (*cycle).held)) { return true; }
  if (n >= (*cycle).until) {
    (*cycle).held = z;
    (*cycle).until = renewal(n);
  }
  return false;
}

struct Derivative { value: vec2f, exponent: i32 }

fn differentiate(d: Derivative, z: vec2f) -> Derivative {
  var value = multiply(slope(z), d.value);
  if (!JULIA) { value.x += exp2(-f32(d.exponent)); }
  let size = max(abs(value.x), abs(value.y));
  if (size > 1e9) { return Derivative(value * exp2(-30.0), d.exponent + 30); }
  return Derivative(value, d.exponent);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let index = group.y * params.row_groups + group.x;
  let count = params.count;
  var id = index * 64u + invocation;
  if (!LISTED) {
    // Pixels of a tile escape together more often than those of a row.
    let tiles = (params.size.x + 7u) / 8u;
    let across = (index % tiles) * 8u + invocation % 8u;
    if (across >= params.size.x) { return; }
    id = ((index / tiles) * 8u + invocation / 8u) * params.size.x + across;
  }
  if (id >= count) { return; }
  var pixel = params.first + id;
  if (LISTED) { pixel = list[id]; }
  let column = pixel % params.size.x;
  let row = pixel / params.size.x;
  let half = 0.5 * vec2f(params.size) - 0.5;
  let point = fma(vec2f(f32(column), f32(row)) - half + params.shift, params.step, params.center);
  var c = point;
  var z = vec2f(0.0);
  if (JULIA) {
    c = params.julia;
    z = point;
  }
  var held = z;
  var n = 0u;
  var crossed = DONE;   // first n outside the radius; a pixel that has one is finished in the same dispatch
  var derivative = Derivative(vec2f(select(0.0, 1.0, JULIA), 0.0), 0);
  if (params.fresh == 0u) {
    n = state[2u * count + id];
    if ((n & DONE) != 0u) { return; }
    z = bitcast<vec2f>(vec2u(state[id], state[count + id]));
    if (DERIVATIVE) {
      derivative.value = bitcast<vec2f>(vec2u(state[3u * count + id], state[4u * count + id]));
      derivative.exponent = bitcast<i32>(state[5u * count + id]);
    } else {
      held = bitcast<vec2f>(vec2u(state[3u * count + id], state[4u * count + id]));
    }
  } else if (JULIA && outside(dot(z, z), params.radius_squared)) {
    crossed = 0u;
  } else if (INTERIOR && !JULIA && !SHIP && POWER == 2u && known_inside(c)) {
    n = params.max_iter;
  }

  let stop = n + min(params.budget, params.max_iter - n);
  var cycle = Cycle(held, renewal(n));
  var inside = false;
  if (!DERIVATIVE && crossed == DONE) {
    var left = false;
    if (LADDER) {
      while (n < 64u && n + 16u <= stop) {
        let w = sixteen(z, c);
        left = outside(dot(w, w), params.radius_squared);
        if (left) { break; }
        z = w;
        n += 16u;
      }
      while (!left && n + 64u <= stop) {
        let w = sixteen(sixteen(sixteen(sixteen(z, c), c), c), c);
        if (outside(dot(w, w), params.radius_squared)) { break; }
        z = w;
        n += 64u;
        inside = INTERIOR && closed(&cycle, z, n);
        if (inside) { break; }
      }
    }
    while (!left && !inside && n + 16u <= stop) {
      let w = sixteen(z, c);
      left = outside(dot(w, w), params.radius_squared);
      if (left) { break; }
      z = w;
      n += 16u;
      inside = INTERIOR && closed(&cycle, z, n);
    }
    if (inside) { n = params.max_iter; }
  }
  // The last sixteen again, or what is left of the budget, step by step; then on to the far radius.
  var extra = 0u;
  if (!inside) {
    loop {
      if (crossed == DONE) {
        if (n >= stop) { break; }
      } else if (outside(dot(z, z), FAR_SQUARED) || extra >= 64u) {
        break;
      } else {
        extra += 1u;
      }
      if (DERIVATIVE) { derivative = differentiate(derivative, z); }
      z = advance(z, c);
      n += 1u;
      if (crossed == DONE && outside(dot(z, z), params.radius_squared)) { crossed = n; }
    }
  }

  if (crossed == DONE && n < params.max_iter) {
    state[id] = bitcast<u32>(z.x);
    state[count + id] = bitcast<u32>(z.y);
    state[2u * count + id] = n;
    if (DERIVATIVE) {
      state[3u * count + id] = bitcast<u32>(derivative.value.x);
      state[4u * count + id] = bitcast<u32>(derivative.value.y);
      state[5u * count + id] = bitcast<u32>(derivative.exponent);
    } else {
      state[3u * count + id] = bitcast<u32>(cycle.held.x);
      state[4u * count + id] = bitcast<u32>(cycle.held.y);
    }
    atomicAdd(&remaining[0], 1u);
    return;
  }
  if (params.budget < params.max_iter) { state[2u * count + id] = n | DONE; }
  if (crossed >= params.max_iter) {
    result[id] = params.max_iter;
    result[count + id] = NAN_BITS;
    if (DERIVATIVE) { result[2u * count + id] = NAN_BITS; }
    return;
  }
  result[id] = crossed;
  let squared = dot(z, z);
  let turns = log2(log2(squared) / 16.0) / log2(f32(POWER)); // safe here, because what has escaped is beyond 2^8, and POWER is 2 or more
  result[count + id] = bitcast<u32>(f32(n) - turns);
  if (DERIVATIVE) {
    let length_2 = log2(max(length(derivative.value), 1e-37)) + f32(derivative.exponent);
    // safe here, because what has escaped is beyond 2^8
    let reach = 0.5 * log2(squared) + log2(0.5 * log(squared)) - length_2;
    result[2u * count + id] = bitcast<u32>(exp2(reach - log2(params.step.x))); // safe here, because a pixel has a width
  }
}
