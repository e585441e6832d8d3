// The matrix `weight` of the importer, four values a word, here float32; nn/formats.py has the text for other formats.
// Importer: weight.
// Accuracy: exact.
// Source: own.

alias Packed = vec4f;

fn weight_at(i: u32) -> vec4f { return weight[i]; }
