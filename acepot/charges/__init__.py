"""Long range: charges that follow from the surroundings of atoms, and their Coulomb energy."""
