// The members of a team: invocations that share one output, here a workgroup of WG, a power of two; as team.wgsl.
// Importer: WG.
// Accuracy: f32, in pairs: log2(WG) roundings.
// Source: own.

struct Place {
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

var<private> team_index: u32;
var<workgroup> team_memory: array<vec4f, WG>;

fn members_of(place: Place, index: u32) -> u32 {
  team_index = index;
  return WG;
}

fn team_sum(v: f32) -> f32 { return team_sum4(vec4f(v)).x; }

fn team_sum4(v: vec4f) -> vec4f {
  team_memory[team_index] = v;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (team_index < half) { team_memory[team_index] += team_memory[team_index + half]; }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&team_memory[0]);
}

fn team_max(v: f32) -> f32 {
  team_memory[team_index] = vec4f(v);
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (team_index < half) { team_memory[team_index] = max(team_memory[team_index], team_memory[team_index + half]); }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&team_memory[0]).x;
}
