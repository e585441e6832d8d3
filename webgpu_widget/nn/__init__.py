"""Parts of neural networks, none of which knows a model.

`Sizes` say what the kernels must know. `Kernels` queue the shaders of ``shaders/nn`` for them, and bring matrices into their formats; `Fused` do
a step's attentions in fewer dispatches. `Rows` takes many rows through layers, a prompt's or an encoder's; a `Decoder` takes a step, recorded
once, as often as there are tokens, its `Cache` growing with them, and `generate` reads the tokens that it chooses as `Settings` say.

A model brings a config that makes `Sizes`, the names of its tensors (`Parts` makes matrices and gains of them), the order of its layers, once over
`Rows` and once in ``Decoder.step``, and what no other has: T5 its position biases and its cross-attention.
"""
