"""Tungsten by Finnis and Sinclair, in closed form: a reference without a file, and without noise.

E = Σ_{i<j} V(r) - A Σ_i √ρ_i, V = (r - c)² (c0 + c1 r + c2 r²) for r < c, ρ_i = Σ_j (r - d)² for
r < d (Phil. Mag. A 50, 45 (1984)). Second derivatives jump at c and d.
"""

from __future__ import annotations

import numpy as np

from acepot import Structure
from acepot.evaluate.protocol import Result
from acepot.neighbours import build

#: Lattice constant in Å.
A0 = 3.1652


class Tungsten:
    """Energies, forces and virials."""

    c, d, a = 3.25, 4.400224, 1.896373
    polynomial = (47.1346499, -33.7665655, 6.2541999)

    def compute(self, structure: Structure) -> Result:
        """Energy in eV, forces in eV/Å, virials in eV."""
        edges, count = build(structure, self.d), len(structure)
        i, j, vector = edges.centre, edges.neighbour, edges.vector
        r = np.linalg.norm(vector, axis=1)
        c0, c1, c2 = self.polynomial
        x, p = np.minimum(r - self.c, 0.0), c0 + c1 * r + c2 * r**2
        pair, slope = x**2 * p, 2 * x * p + x**2 * (c1 + 2 * c2 * r)
        density = np.bincount(i, (r - self.d) ** 2, minlength=count)
        root = np.sqrt(density)
        energies = np.bincount(i, pair, minlength=count) / 2 - self.a * root
        with np.errstate(divide="ignore"):
            bond = slope / 2 - (self.a / (2 * root))[i] * 2 * (r - self.d)  # dE_i/dr_ij
        pull = (bond / r)[:, None] * vector
        forces, virials = np.empty((count, 3)), np.empty((count, 3, 3))
        for k in range(3):
            forces[:, k] = np.bincount(i, pull[:, k], minlength=count)
            forces[:, k] -= np.bincount(j, pull[:, k], minlength=count)
            for l in range(3):
                virials[:, l, k] = -np.bincount(i, vector[:, l] * pull[:, k], minlength=count)
        return Result(energies, forces, virials)

    def compute_all(self, structures: list[Structure]) -> list[Result]:
        """The same of several structures."""
        return [self.compute(one) for one in structures]
