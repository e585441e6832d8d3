// Gravity by direct summation, softened (Aarseth 1963), one leapfrog kick and drift.
struct Body { position: vec3f, mass: f32, velocity: vec3f }
struct Setup { dt: f32, softening: f32 }
@group(0) @binding(0) var<storage, read> bodies: array<Body>;
@group(0) @binding(1) var<storage, read_write> moved: array<Body>;
@group(1) @binding(0) var<uniform> setup: Setup;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&bodies)) { return; }
  var body = bodies[id.x];
  var force = vec3f();
  for (var i = 0u; i < arrayLength(&bodies); i++) {
    let offset = bodies[i].position - body.position;
    let squared = dot(offset, offset) + setup.softening * setup.softening;
    force += bodies[i].mass * offset / (squared * sqrt(squared));
  }
  body.velocity += setup.dt * force;
  body.position += setup.dt * body.velocity;
  moved[id.x] = body;
}
