// A team takes four rows at once, so that it decodes once; as one_row.wgsl.
// Importer: taken, x, IN.
// Accuracy: the order of sums is one_row.wgsl's.
// Source: own.

#import shared/team

const ROWS: u32 = 4u;
const OUTPUTS: u32 = 1u;
alias Sums = vec4f;

fn of_rows(v: vec4f, begin: u32, i: u32) -> Sums {
  let next = IN / 4u;
  return vec4f(dot(v, taken(begin, i)), dot(v, taken(begin + next, i)), dot(v, taken(begin + 2u * next, i)), dot(v, taken(begin + 3u * next, i)));
}

fn squares_of(begin: u32, i: u32) -> Sums {
  let a = x[begin + i];
  let b = x[begin + IN / 4u + i];
  let c = x[begin + IN / 2u + i];
  let d = x[begin + IN / 4u * 3u + i];
  return vec4f(dot(a, a), dot(b, b), dot(c, c), dot(d, d));
}

fn of_row(sums: Sums, r: u32) -> f32 { return sums[r]; }

fn team_sums(v: Sums) -> Sums { return team_sum4(v); }
