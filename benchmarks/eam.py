"""Embedded-atom potentials of tables (setfl, of alloys or of Finnis and Sinclair), with numpy.

    E = sum_i F_i(rho_i) + 1/2 sum_ij phi_ij(r_ij),    rho_i = sum_j rho_ij(r_ij)

A truth that costs a millisecond for some tens of atoms. `Calculator` is one for ASE, whose own
reads such tables for seconds.
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from acepot.basis.species import atomic_number
from acepot.neighbours import build
from acepot.structure import Structure

__all__ = ["Calculator", "Eam"]

Floats = NDArray[np.float64]
#: Points of a table that are kept: with more, cubic splines differ by less than 1e-9 eV.
_POINTS = 10_000


class _Curve:
    """A cubic spline on a uniform grid, and its slope; what lies beyond is clipped to it."""

    def __init__(self, step: float, values: Floats) -> None:
        thin = max(1, len(values) // _POINTS)
        self._step, kept = step * thin, values[::thin]
        self._rows = CubicSpline(self._step * np.arange(len(kept)), kept).c.T[:, ::-1].copy()

    def __call__(self, x: Floats) -> tuple[Floats, Floats]:
        bin_ = np.clip((x / self._step).astype(int), 0, len(self._rows) - 1)
        u = x - bin_ * self._step
        a, b, c, d = self._rows[bin_].T
        return a + u * (b + u * (c + u * d)), b + u * (2 * c + u * 3 * d)


class Eam:
    """The potential of a setfl file.

    Args:
        path: the file; `.xz` is uncompressed.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        finnis = ".fs" in path.name
        opened = lzma.open(path, "rt") if path.suffix == ".xz" else path.open()
        with opened as file:
            lines = file.read().splitlines()
        count, *names = lines[3].split()
        rhos, drho, radii, dr, cutoff = (float(x) for x in lines[4].split()[:5])
        self.cutoff, size = cutoff, int(count)
        self.numbers = [atomic_number(name) for name in names[:size]]
        words, at = [w for line in lines[5:] for w in line.split()], 0

        def taken(many: int) -> Floats:
            nonlocal at
            at += many
            return np.array(words[at - many : at], dtype=float)

        self._embedding, self._density = [], []
        for _ in range(size):
            at += 4
            self._embedding.append(_Curve(drho, taken(int(rhos))))
            some = [_Curve(dr, taken(int(radii))) for _ in range(size if finnis else 1)]
            # Of a neighbour of this element at an atom of each element.
            self._density.append(some if finnis else some * size)
        r = dr * np.arange(int(radii))
        self._pair = {}
        for a in range(size):
            for b in range(a + 1):
                values = taken(int(radii))
                values[1:] /= r[1:]
                values[0] = 2 * values[1] - values[2]
                self._pair[a, b] = self._pair[b, a] = _Curve(dr, values)

    def __call__(self, structure: Structure) -> tuple[float, Floats, Floats]:
        """Energy in eV, forces in eV/Å, shape (n, 3), and virial -dE/dε in eV, shape (3, 3)."""
        edges, n = build(structure, self.cutoff), len(structure)
        kind = np.array([self.numbers.index(int(z)) for z in structure.numbers])
        r = np.linalg.norm(edges.vector, axis=1)
        here, there = kind[edges.centre], kind[edges.neighbour]
        density, slope = np.zeros(len(r)), np.zeros(len(r))
        pair, pull = np.zeros(len(r)), np.zeros(len(r))
        for a in range(len(self.numbers)):
            for b in range(len(self.numbers)):
                mine = (here == a) & (there == b)
                density[mine], slope[mine] = self._density[b][a](r[mine])
                pair[mine], pull[mine] = self._pair[a, b](r[mine])
        total = np.bincount(edges.centre, density, minlength=n)
        energy, turn = 0.5 * pair.sum(), np.zeros(n)
        for a, curve in enumerate(self._embedding):
            values, turn[kind == a] = curve(total[kind == a])
            energy += values.sum()
        # dE/dr_ij of the edge from i to j, both of whose ends are summed over.
        along = 0.5 * pull + turn[edges.centre] * slope
        tension = (along / r)[:, None] * edges.vector
        forces = np.zeros((n, 3))
        np.add.at(forces, edges.centre, tension)
        np.subtract.at(forces, edges.neighbour, tension)
        return float(energy), forces, -edges.vector.T @ tension


class Calculator(AseCalculator):
    """It for ASE.

    Args:
        path: the file.
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, path: str) -> None:
        super().__init__()
        self._eam = Eam(path)

    def calculate(
        self, atoms: Any = None, properties: Any = (), system_changes: Any = all_changes
    ) -> None:
        """As ASE asks for it."""
        super().calculate(atoms, properties, system_changes)
        one = Structure(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        energy, forces, virial = self._eam(one)
        self.results = {"energy": energy, "forces": forces}
        if atoms.pbc.all():
            stress = -virial / atoms.get_volume()
            self.results["stress"] = stress.ravel()[[0, 4, 8, 5, 2, 1]]
