"""Arrays that stay on the GPU: expressions that become kernels, products, and the methods that users see."""
