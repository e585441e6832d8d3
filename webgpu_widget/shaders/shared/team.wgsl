// The lanes that share one output, here a subgroup; workgroup_team.wgsl is for adapters without subgroups.

enable subgroups;

// Where an invocation is, as far as all of its team are there.
struct Place {
  @builtin(subgroup_size) lanes: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

fn lanes_of(place: Place, index: u32) -> u32 { return place.lanes; }

fn team_sum(v: f32) -> f32 { return subgroupAdd(v); }

fn team_sum4(v: vec4f) -> vec4f { return subgroupAdd(v); }

fn team_max(v: f32) -> f32 { return subgroupMax(v); }
