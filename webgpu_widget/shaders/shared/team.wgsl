// The members of a team: invocations that share one output, here a subgroup; workgroup_team.wgsl is for adapters without subgroups.
// Accuracy: f32, in the order of the adapter's subgroupAdd.
// Source: own.

enable subgroups;

// Where an invocation is, as far as all of its team are there.
struct Place {
  @builtin(subgroup_size) members: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
}

fn members_of(place: Place, index: u32) -> u32 { return place.members; }

fn team_sum(v: f32) -> f32 { return subgroupAdd(v); }

fn team_sum4(v: vec4f) -> vec4f { return subgroupAdd(v); }

fn team_max(v: f32) -> f32 { return subgroupMax(v); }
