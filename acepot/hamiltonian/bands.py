"""Levels along a path of k, and densities of states, as pictures and as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import InputError, MissingDependency
from acepot.evaluate.protocol import Floats
from acepot.hamiltonian.matrices import OrbitalMatrix
from acepot.hamiltonian.spectrum import Levels, Mesh, density_of_states, levels
from acepot.run.figure import picture
from acepot.structure import Structure

#: eV: Gaussian width of densities of states.
_WIDTH = 0.15
_TRUE, _MINE = "#222222", "#c0392b"


@dataclass(frozen=True, eq=False)
class BandPath:
    """A path through reciprocal space.

    Args:
        points: in units of the reciprocal lattice vectors, shape (nk, 3).
        distance: along the path in 1/Å, shape (nk,).
        labels: of special points, with their distance.
    """

    points: Floats
    distance: Floats
    labels: tuple[tuple[float, str], ...]


def band_path(structure: Structure, density: float = 20.0, path: str | None = None) -> BandPath:
    """The usual path of a lattice, by ASE's Bravais classification.

    Args:
        structure: periodic along all directions it has k for.
        density: points per 1/Å.
        path: such as "GXWLG"; None: the lattice's own.

    Raises:
        InputError: a molecule, or a path that the lattice does not have.
        MissingDependency: ASE is not installed.
    """
    try:
        from ase.cell import Cell
    except ImportError as error:
        raise MissingDependency("bands need ASE: pip install acepot[ase]") from error
    if not structure.pbc.any():
        raise InputError("bands: expected a structure that is periodic, got a molecule")
    cell = Cell(structure.cell)  # type: ignore[no-untyped-call]
    try:
        found = cell.bandpath(path, density=density, pbc=structure.pbc.tolist(), eps=1e-3)
    except (KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise InputError(f"bands: path {path or 'of this lattice'}: {error}") from error
    distance, places, labels = found.get_linear_kpoint_axis()
    marks: dict[float, str] = {}
    for place, label in zip(places.tolist(), labels, strict=True):
        text = "Γ" if label == "G" else str(label)
        if place in marks and marks[place] != text:
            text = f"{marks[place]}|{text}"
        marks[place] = text
    return BandPath(np.array(found.kpts, dtype=float), np.array(distance), tuple(marks.items()))


@dataclass(frozen=True, eq=False)
class Bands:
    """What a picture shows of one source.

    Args:
        path: levels along it.
        mesh: levels on a mesh, for the density of states.
        fermi: in eV.
        name: of the source.
        half_width: of intervals of the levels along the path in eV, shape as the levels; None: not
            known.
    """

    path: Levels
    mesh: Levels
    fermi: float
    name: str
    half_width: Floats | None = None


def along(hamiltonian: OrbitalMatrix, overlap: OrbitalMatrix | None, path: BandPath) -> Levels:
    """Levels along a path."""
    weights = np.full(len(path.points), 1 / len(path.points))
    return levels(hamiltonian, overlap, Mesh(path.points, weights))


def draw_bands(
    found: Sequence[Bands], path: BandPath, file: str | Path, window: tuple[float, float]
) -> None:
    """Bands along a path beside the density of states: the last source over those before.

    Args:
        found: reference first, if there is one.
        path: of their levels.
        file: PNG.
        window: of energies relative to each Fermi level, in eV.
    """
    with picture(file, 6.4, 3.9) as figure:
        left, right = figure.subplots(
            1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 1], "wspace": 0.06}
        )
        for number, one in enumerate(found):
            last = number == len(found) - 1
            _draw_one(left, right, one, path, window, _MINE if last else _TRUE, last)
        for place, _ in path.labels:
            left.axvline(place, color="#cccccc", lw=0.6, zorder=0)
        left.set_xticks([p for p, _ in path.labels], [text for _, text in path.labels])
        left.set_xlim(path.distance[0], path.distance[-1])
        left.set_ylim(*window)
        left.set_ylabel("energy less Fermi level, eV")
        right.set_xlabel("states per eV")
        right.set_xlim(left=0)
        for axis in (left, right):
            axis.axhline(0, color="#888888", lw=0.6, ls=":")
        right.legend(loc="lower right")


def _draw_one(
    left: Any, right: Any, one: Bands, path: BandPath, window: tuple[float, float], colour: str,
    dashed: bool,
) -> None:  # fmt: skip
    """Curves of one source."""
    style = {"color": colour, "lw": 0.9, "ls": "--" if dashed else "-"}
    energies = one.path.energies - one.fermi
    ends = np.flatnonzero(np.diff(path.distance) == 0) + 1  # where the path goes on elsewhere
    left.plot(
        np.insert(path.distance, ends, np.nan), np.insert(energies, ends, np.nan, axis=0), **style
    )
    if one.half_width is not None:
        for n in range(energies.shape[1]):
            width = one.half_width[:, n]
            left.fill_between(
                path.distance, energies[:, n] - width, energies[:, n] + width, color=colour,
                alpha=0.2, lw=0,
            )  # fmt: skip
    at = np.linspace(*window, 600)
    right.plot(density_of_states(one.mesh, at + one.fermi, _WIDTH), at, label=one.name, **style)
