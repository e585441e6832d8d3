// A team makes four outputs of one row at a time, so that it reads the row's words once, a block of 32 values at once; as one_row.wgsl. For adapters on a CPU, where a read costs more than a sum.
// Importer: taken, x.
// Accuracy: the order of sums is one_row.wgsl's.
// Source: own.

#import shared/team

const ROWS: u32 = 1u;
const OUTPUTS: u32 = 4u;
alias Sums = vec4f;
var<private> held: array<vec4f, 8>;

// Hold block i of the row that begins there.
fn hold(begin: u32, i: u32) {
  held[0] = taken(begin, 8u * i);
  held[1] = taken(begin, 8u * i + 1u);
  held[2] = taken(begin, 8u * i + 2u);
  held[3] = taken(begin, 8u * i + 3u);
  held[4] = taken(begin, 8u * i + 4u);
  held[5] = taken(begin, 8u * i + 5u);
  held[6] = taken(begin, 8u * i + 6u);
  held[7] = taken(begin, 8u * i + 7u);
}

fn of_rows(v: vec4f, begin: u32, i: u32) -> f32 { return dot(v, held[i]); }

fn squares_of(begin: u32, i: u32) -> Sums { return vec4f(dot(x[begin + i], x[begin + i])); }

fn of_row(sums: Sums, r: u32) -> f32 { return sums[r]; }

fn team_sums(v: Sums) -> Sums { return team_sum4(v); }
