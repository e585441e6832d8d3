"""What WGSL text shows to be unreliable on some adapter: a reader of expressions with their types, and rules over them."""
