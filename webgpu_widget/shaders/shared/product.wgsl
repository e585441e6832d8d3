// The product of a unit of a row of the matrix, the words that are decoded at once, and x; nn/formats.py has the text for blocks.
// Importer: Sums, of_rows, as one_row.wgsl has them.
// Accuracy: the rounding of of_rows.
// Source: own.

#import shared/packed

const UNIT: u32 = 1u;

fn product(at: u32, begin: u32, i: u32) -> Sums { return of_rows(weight_at(at + i), begin, i); }
