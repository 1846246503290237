"""Phonons: bands along a path, density of states, imaginary modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acepot.potential import Potential
from acepot.properties.force_constants import Lattice
from acepot.structure import Structure

if TYPE_CHECKING:
    from phonopy import Phonopy

__all__ = ["IMAGINARY", "Bands", "Phonons", "phonons"]

Floats = NDArray[np.float64]
#: Points of a path of bands, and THz below which a frequency is imaginary.
POINTS, IMAGINARY = 120, -0.05


@dataclass(frozen=True, eq=False)
class Bands:
    """Frequencies along a path.

    Args:
        distances: along the path, shape (points,).
        frequencies: in THz, negative where they are imaginary, shape (points, branches).
        points: in units of the reciprocal primitive cell, shape (points, 3).
        labels: of the special points, with their distances.
        breaks: indices of points before which the path jumps.
    """

    distances: Floats
    frequencies: Floats
    points: Floats
    labels: tuple[tuple[str, float], ...]
    breaks: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Phonons:
    """What a crystal's phonons are.

    Args:
        bands: along a path.
        levels: frequencies of the density of states in THz.
        density: states per THz and cell.
        imaginary: special points, or points of path and mesh, with the frequency of their lowest
            mode, where that is imaginary: (name, THz).
        cells: how often the cell was repeated.
        atoms: of the supercell.
        drift: largest sum of force constants over atoms, eV/Å², 0 in a perfect supercell.
    """

    bands: Bands
    levels: Floats
    density: Floats
    imaginary: tuple[tuple[str, float], ...]
    cells: tuple[int, int, int]
    atoms: int
    drift: float

    def at(self, label: str) -> Floats:
        """The frequencies at a special point in THz, ascending.

        Raises:
            KeyError: the path does not touch it.
        """
        place = dict(self.bands.labels)[label]
        index = int(np.argmin(np.abs(self.bands.distances - place)))
        return np.asarray(np.sort(self.bands.frequencies[index]))


def phonons(
    potential: Potential, rest: Structure, lattice: Lattice, like: Phonons | None = None
) -> Phonons:
    """Phonons of a crystal at rest, by finite displacements in a supercell.

    Args:
        potential: the model.
        rest: without forces.
        lattice: of this crystal, or of one that is strained a little.
        like: phonons whose path is taken instead of a new one.
    """
    drift = lattice.compute(potential, rest)
    made = lattice.phonopy
    paths, labels, connected = _path(made) if like is None else _path_of(like)
    made.run_band_structure(paths, path_connections=connected, labels=labels)
    bands = _bands(made, paths, labels, connected)
    if like is not None:
        same = like.bands
        bands = replace(bands, distances=same.distances, labels=same.labels, breaks=same.breaks)
    points, _, inside = lattice.mesh()
    made.run_total_dos()
    density: Any = made.total_dos
    return Phonons(
        bands, np.array(density.frequency_points), np.array(density.dos),
        _imaginary(bands, points, inside), lattice.cells, lattice.atoms, drift,
    )  # fmt: skip


def _path(made: Phonopy) -> tuple[list[Floats], list[str], list[bool]]:
    from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath

    paths, labels, connected = get_band_qpoints_by_seekpath(made.primitive, POINTS)
    return paths, [_plain(label) for label in labels], connected


def _plain(label: str) -> str:
    """A label without LaTeX."""
    for old, new in (("\\Gamma", "Γ"), ("\\mathrm", ""), ("\\_", "_"), ("GAMMA", "Γ")):
        label = label.replace(old, new)
    return label.translate({ord(c): None for c in "${}"})


def _path_of(like: Phonons) -> tuple[list[Floats], list[str], list[bool]]:
    """The path of other phonons, as one piece from break to break."""
    bands = like.bands
    edges = [0, *bands.breaks, len(bands.points)]
    pieces = [bands.points[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return pieces, ["", ""] * len(pieces), [False] * len(pieces)


def _bands(
    made: Phonopy, paths: list[Floats], labels: Sequence[str], connected: Sequence[bool]
) -> Bands:
    found: Any = made.band_structure
    distances = np.concatenate([np.asarray(d) for d in found.distances])
    frequencies = np.concatenate([np.asarray(f) for f in found.frequencies])
    marks: list[tuple[str, float]] = []
    names = iter(labels)
    fresh = True
    for part, joined in zip(found.distances, connected, strict=True):
        if fresh:
            marks.append((next(names), float(part[0])))
        marks.append((next(names), float(part[-1])))
        fresh = not joined
    ends = np.cumsum([len(p) for p in paths])
    return Bands(
        distances, frequencies, np.concatenate(paths), tuple(m for m in marks if m[0]),
        tuple(int(e) for e in ends[:-1]),
    )  # fmt: skip


def _imaginary(bands: Bands, points: Floats, inside: Floats) -> tuple[tuple[str, float], ...]:
    """Where the lowest mode is imaginary: at special points, else on the path, else anywhere."""
    found: dict[str, float] = {}
    for label, place in bands.labels:
        index = int(np.argmin(np.abs(bands.distances - place)))
        if (low := float(bands.frequencies[index].min())) < IMAGINARY:
            found[label] = min(low, found.get(label, 0.0))
    lowest = bands.frequencies.min(axis=1)
    for places, values in ((bands.points, lowest), (points, inside.min(axis=1))):
        index = int(np.argmin(values))
        if values[index] < min([IMAGINARY, *(v - 1e-6 for v in found.values())]):
            name = "(" + ", ".join(f"{x:.3g}" for x in places[index]) + ")"
            found[name] = float(values[index])
    return tuple(sorted(found.items(), key=lambda one: one[1]))
