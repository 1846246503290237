"""Vacancies and interstitials at rest in cells of stated sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from acepot.basis.species import SYMBOLS
from acepot.errors import ConvergenceError, InputError
from acepot.neighbours import nearest
from acepot.potential import Potential
from acepot.properties.crystals import repeated, supercell
from acepot.properties.relaxation import Relaxed, relaxed
from acepot.structure import Structure

__all__ = ["Defect", "DefectEnergy", "at_rest", "interstitials", "vacancies"]

Floats = NDArray[np.float64]
#: Atoms, and holes, whose energies and sizes agree this well are equivalent (eV, Å).
_EQUAL_ENERGY, _EQUAL = 1e-5, 1e-3
#: Distance of the two atoms of a dumbbell, in shortest distances.
_DUMBBELL = 0.75
#: Holes closer to atoms than this part of the shortest distance are none; as many are tried.
_SMALLEST, _HOLES = 0.6, 3
#: Of the shortest distance in the crystal: atoms that are closer at rest fell into a hole.
_COLLAPSED = 0.7


@dataclass(frozen=True, eq=False)
class Defect:
    """A point defect in one cell of the crystal, not yet relaxed.

    Args:
        name: such as vacancy Si, interstitial Si 4-fold, dumbbell Si 110.
        removed: index of the atom that is taken out; None: none is.
        added: places in Å and atomic numbers of those that are put in.
    """

    name: str
    removed: int | None = None
    added: tuple[tuple[int, tuple[float, float, float]], ...] = ()

    def within(self, rest: Structure, counts: Sequence[int]) -> Structure:
        """The defect in a cell repeated so often."""
        whole = repeated(rest, np.asarray(counts))
        keep = np.ones(len(whole), dtype=bool)
        if self.removed is not None:
            apart = whole.positions - rest.positions[self.removed]
            keep[int(np.argmin(np.linalg.norm(apart, axis=1)))] = False
        numbers = [*whole.numbers[keep], *(z for z, _ in self.added)]
        positions = [*whole.positions[keep], *(place for _, place in self.added)]
        return Structure(numbers, positions, whole.cell, True, name=self.name)


@dataclass(frozen=True, eq=False)
class DefectEnergy:
    """A formation energy.

    Args:
        defect: what was formed.
        atoms: of the perfect cell.
        energy: E - Σ n_z μ_z at rest, in eV.
        unrelaxed: before anything moved.
        relaxed: the cell at rest.
    """

    defect: Defect
    atoms: int
    energy: float
    unrelaxed: float
    relaxed: Relaxed


def vacancies(potential: Potential, rest: Structure) -> list[Defect]:
    """One vacancy for each site that differs from the others in element or energy."""
    energies = potential.compute(rest).energies
    found: list[Defect] = []
    seen: list[tuple[int, float]] = []
    for index, (z, e) in enumerate(zip(rest.numbers.tolist(), energies.tolist(), strict=True)):
        if any(z == a and abs(e - b) < _EQUAL_ENERGY for a, b in seen):
            continue
        seen.append((z, e))
        same = sum(a == z for a, _ in seen)
        found.append(Defect(f"vacancy {SYMBOLS[z]}{f' {same}' if same > 1 else ''}", index))
    return found


def interstitials(rest: Structure, potential: Potential) -> list[Defect]:
    """Atoms in the largest holes, and dumbbells along ⟨100⟩, ⟨110⟩ and ⟨111⟩, of each element.

    Holes are where four or more atoms are equally far, the vertices of Voronoi's cells; equivalent
    ones have the same distances to all atoms nearby. Dumbbells are put on the first atom of an
    element, along directions of the cell given.

    Args:
        rest: the crystal.
        potential: not needed for the places; its elements are those that are put in.
    """
    found: list[Defect] = []
    elements = [z for z in dict.fromkeys(rest.numbers.tolist()) if z in potential.model.numbers]
    seen: list[int] = []
    for place, neighbours in _holes(rest):
        seen.append(neighbours)
        again = f" {seen.count(neighbours)}" if seen.count(neighbours) > 1 else ""
        for z in elements:
            name = f"interstitial {SYMBOLS[z]} {neighbours}-fold{again}"
            x, y, w = (float(one) for one in place)
            found.append(Defect(name, None, ((z, (x, y, w)),)))
    shortest = _shortest(rest)
    axes = rest.cell / np.linalg.norm(rest.cell, axis=1)[:, None]
    for z in elements:
        index = int(np.flatnonzero(rest.numbers == z)[0])
        for direction in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
            along = np.array(direction) @ axes
            along = along / np.linalg.norm(along) * shortest * _DUMBBELL / 2
            here = rest.positions[index]
            added = tuple((z, _three(here + sign * along)) for sign in (1, -1))
            name = "dumbbell {} {}{}{}".format(SYMBOLS[z], *direction)
            found.append(Defect(name, index, added))
    return found


def _three(place: Floats) -> tuple[float, float, float]:
    return float(place[0]), float(place[1]), float(place[2])


def _cloud(rest: Structure) -> Floats:
    """Atoms of the cell and of those around, the cell itself first."""
    shifts = np.array(sorted(np.ndindex(5, 5, 5), key=lambda s: np.abs(np.array(s) - 2).sum())) - 2
    return np.asarray((rest.positions[None] + (shifts @ rest.cell)[:, None]).reshape(-1, 3))


def _shortest(rest: Structure) -> float:
    cloud = _cloud(rest)
    lengths = np.linalg.norm(cloud[None, :] - rest.positions[:, None], axis=-1)
    return float(lengths[lengths > 1e-6].min())


def _holes(rest: Structure) -> list[tuple[Floats, int]]:
    """Places and how many nearest atoms they have; largest first, one of each kind."""
    cloud, shortest = _cloud(rest), _shortest(rest)
    vertices = Voronoi(cloud).vertices
    inside = vertices @ np.linalg.inv(rest.cell)
    vertices = vertices[((inside > -1e-6) & (inside < 1 - 1e-6)).all(axis=1)]
    kinds: list[tuple[Floats, float, int, Floats]] = []
    for place in vertices:
        lengths = np.sort(np.linalg.norm(cloud - place, axis=1))[:12]
        if lengths[0] < _SMALLEST * shortest:
            continue
        if any(np.abs(lengths - other).max() < _EQUAL for *_, other in kinds):
            continue
        near = int((lengths < lengths[0] + _EQUAL).sum())
        kinds.append((place, float(lengths[0]), near, lengths))
    kinds.sort(key=lambda one: -one[1])
    return [(place, near) for place, _, near, _ in kinds[:_HOLES]]


def at_rest(
    potential: Potential, rest: Structure, defect: Defect, atoms: int, reservoir: dict[int, float]
) -> DefectEnergy:
    """The formation energy of a defect in a cell of so many atoms or more, whose cell stays.

    Args:
        potential: the model.
        rest: the crystal.
        defect: in it.
        atoms: of the perfect cell.
        reservoir: chemical potentials by atomic number in eV, whose sum over a cell of the crystal
            is its energy.

    Raises:
        InputError: atoms that came too close to be evaluated.
        ConvergenceError: atoms that fell into each other.
    """
    counts = supercell(rest, atoms)
    start = defect.within(rest, counts)
    if missing := set(start.numbers.tolist()) - set(reservoir):
        raise InputError(f"{defect.name}: no chemical potential of {sorted(missing)}")
    bulk = sum(reservoir[z] for z in start.numbers.tolist())
    before = potential.compute(start).energy
    found = relaxed(potential, start, force=1e-4)
    least = _COLLAPSED * _shortest(rest)
    if close := nearest(found.structure, least):
        raise ConvergenceError(
            f"atoms fell into each other (a distance of {min(close.values()):.2f} Å): the model "
            "has a hole there; see acepot check --holes"
        )
    count = len(rest) * int(np.prod(counts))
    return DefectEnergy(defect, count, found.energy - bulk, before - bulk, found)
