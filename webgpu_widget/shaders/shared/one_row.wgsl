// A team takes one row at a time; four_rows.wgsl is for four, four_outputs.wgsl for four outputs of one. The importer's `taken` gives the words of a row of x.
// Importer: taken, x.
// Accuracy: one sum over a team's members, in the order of team_sum.
// Source: own.

#import shared/team

const ROWS: u32 = 1u;
const OUTPUTS: u32 = 1u;
alias Sums = f32;

fn of_rows(v: vec4f, begin: u32, i: u32) -> Sums { return dot(v, taken(begin, i)); }

fn squares_of(begin: u32, i: u32) -> Sums { return dot(x[begin + i], x[begin + i]); }

fn of_row(sums: Sums, r: u32) -> f32 { return sums; }

fn team_sums(v: Sums) -> Sums { return team_sum(v); }
