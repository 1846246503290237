"""One-particle functions, couplings and the bases made of them."""
