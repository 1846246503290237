"""Tables in torch: differentiable site outputs, and the energy with a backward pass by hand."""
