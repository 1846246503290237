"""Models E_i = F(φ_i1 … φ_iP): from the linear fit, by Gauss–Newton with conjugate gradients."""
