"""What a material is by a model: lattice, elasticity, phonons, defects, surfaces, melting."""
