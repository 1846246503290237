"""The levels between a reference calculation and a quantity, and what each adds to its error."""
