"""Structure of phases: space groups of spglib, bond-orientational order of freud."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot import lattice
from acepot.errors import InputError, MissingDependency
from acepot.structure import Structure

__all__ = ["Label", "Phase", "label", "require_packages", "tally"]

Floats = NDArray[np.float64]

#: Names by space group, atoms of the primitive cell and elements.
_PROTOTYPES = {
    (225, 1, 1): "fcc",
    (229, 1, 1): "bcc",
    (194, 2, 1): "hcp",
    (227, 2, 1): "diamond",
    (221, 1, 1): "simple cubic",
    (191, 1, 1): "simple hexagonal",
    (141, 2, 1): "beta-tin",
    (206, 8, 1): "bc8",
    (221, 2, 2): "B2 (CsCl)",
    (225, 2, 2): "B1 (rock salt)",
    (216, 2, 2): "B3 (zincblende)",
    (186, 4, 2): "B4 (wurtzite)",
    (227, 4, 2): "B32 (NaTl)",
    (123, 2, 2): "L1_0 (CuAu)",
    (221, 4, 2): "L1_2 (Cu3Au)",
    (225, 4, 2): "D0_3 (BiF3)",
    (225, 3, 2): "C1 (fluorite)",
}
#: Space groups that a disordered cell has: none, or an inversion.
_DISORDERED = 2
#: Å; a cell is repeated until its heights are larger, so that no Voronoi cell meets its own image.
_HEIGHT = 12.0


@dataclass(frozen=True)
class Label:
    """The structure of one configuration.

    Args:
        space_group: number, 1 to 230.
        symbol: international symbol of it.
        prototype: name of the structure where it has one here; else empty.
        q4: mean over the atoms of Steinhardt's Q4.
        q6: of Q6.
        volume: Å³ per atom.
    """

    space_group: int
    symbol: str
    prototype: str
    q4: float
    q6: float
    volume: float

    @property
    def name(self) -> str:
        """For people: the prototype, the symbol of the space group, or that there is no order."""
        if self.space_group <= _DISORDERED:
            return "disordered"
        return f"{self.prototype}, {self.symbol}" if self.prototype else self.symbol


@dataclass(frozen=True)
class Phase:
    """Labels of configurations that stand for a temperature.

    Args:
        temperature: K.
        names: share of each name, the largest first.
        q4: mean of Q4, and its standard deviation among configurations.
        q6: of Q6.
        volume: of the volume per atom, Å³.
        configurations: how many different ones.
    """

    temperature: float
    names: dict[str, float]
    q4: tuple[float, float]
    q6: tuple[float, float]
    volume: tuple[float, float]
    configurations: int


def require_packages() -> None:
    """Say at once that structures cannot be labelled.

    Raises:
        MissingDependency: spglib or freud is not installed.
    """
    try:
        import freud  # noqa: F401
        import spglib  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"labels of structures need {error.name}: pip install acepot[sampling]"
        ) from error


def label(structure: Structure, tolerance: float = 0.1) -> Label:
    """Label one configuration.

    Q_l = sqrt(4π/(2l+1) Σ_m |q_lm|²), q_lm the mean of Y_lm over the faces of an atom's Voronoi
    cell, weighted by their areas, so that there is no cut-off to choose (Mickel et al., J. Chem.
    Phys. 138, 044501 (2013)): fcc 0.191 and 0.575, hcp 0.097 and 0.485, bcc 0.224 and 0.567,
    diamond 0.455 and 0.425.

    Args:
        structure: periodic in all directions.
        tolerance: Å within which positions are the same (spglib's symprec).

    Raises:
        MissingDependency: spglib or freud is not installed.
        InputError: not periodic, or a tolerance that is not above zero.
    """
    require_packages()
    if not structure.pbc.all():
        raise InputError(f"{structure.name}: expected a structure periodic in all directions")
    if not tolerance > 0.0:
        raise InputError(f"tolerance: expected more than 0 Å, got {tolerance:g}")
    number, symbol, prototype = _symmetry(structure, tolerance)
    q4, q6 = _order(structure, (4, 6))
    return Label(number, symbol, prototype, q4, q6, structure.volume / len(structure))


def _symmetry(structure: Structure, tolerance: float) -> tuple[int, str, str]:
    import spglib

    crystal: Any = (*_reduced(structure), structure.numbers)
    try:
        with warnings.catch_warnings():  # about errors that are None now and will be raised later
            warnings.simplefilter("ignore", DeprecationWarning)
            dataset: Any = spglib.get_symmetry_dataset(crystal, symprec=tolerance)
            primitive: Any = spglib.find_primitive(crystal, symprec=tolerance)
    except spglib.SpglibError as error:
        raise _no_symmetry(structure, tolerance, str(error)) from error
    if dataset is None or primitive is None:
        raise _no_symmetry(structure, tolerance, "no reason given")
    kind = (int(dataset.number), len(primitive[2]), len(set(structure.numbers.tolist())))
    return kind[0], str(dataset.international), _PROTOTYPES.get(kind, "")


def _no_symmetry(structure: Structure, tolerance: float, reason: str) -> InputError:
    return InputError(
        f"{structure.name}: spglib finds no space group within {tolerance:g} Å ({reason}); "
        "take another tolerance"
    )


def _order(structure: Structure, degrees: Sequence[int]) -> list[float]:
    import freud

    cell, fractions = _reduced(structure)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    times = np.ceil(_HEIGHT / heights).astype(int)
    shifts = np.stack(np.meshgrid(*map(np.arange, times), indexing="ij"), axis=-1).reshape(-1, 3)
    places = (fractions + shifts[:, None]).reshape(-1, 3) / times  # the first n are the atoms
    a, b, c = cell * times[:, None]
    lengths = [float(np.linalg.norm(one)) for one in (a, b, c)]
    angles = [_angle(b, c), _angle(a, c), _angle(a, b)]
    box = freud.box.Box.from_box_lengths_and_angles(*lengths, *angles)
    system = (box, box.make_absolute(places))
    faces = freud.locality.Voronoi().compute(system).nlist
    found = []
    for degree in degrees:
        order = freud.order.Steinhardt(degree, weighted=True).compute(system, neighbors=faces)
        found.append(float(np.mean(order.particle_order[: len(structure)], dtype=np.float64)))
    return found


def _reduced(structure: Structure) -> tuple[Floats, Floats]:
    """The shortest lattice vectors, right-handed, and fractions of them."""
    cell, _ = lattice.reduced(structure.cell, structure.pbc)
    if np.linalg.det(cell) < 0.0:
        cell = -cell
    return cell, structure.positions @ np.linalg.inv(cell)


def _angle(one: Floats, other: Floats) -> float:
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return float(np.arccos(cosine))


def tally(temperature: float, labels: Sequence[tuple[Label, float]]) -> Phase:
    """The phase that labelled configurations make.

    Args:
        temperature: for which they stand, K.
        labels: and the share of each.
    """
    shares = np.array([share for _, share in labels])
    shares = shares / shares.sum()
    names: dict[str, float] = {}
    for (one, _), share in zip(labels, shares, strict=True):
        names[one.name] = names.get(one.name, 0.0) + float(share)

    def spread(values: Sequence[float]) -> tuple[float, float]:
        mean = float(shares @ values)
        return mean, float(np.sqrt(shares @ (np.array(values) - mean) ** 2))

    return Phase(
        temperature,
        dict(sorted(names.items(), key=lambda one: -one[1])),
        spread([one.q4 for one, _ in labels]),
        spread([one.q6 for one, _ in labels]),
        spread([one.volume for one, _ in labels]),
        len(labels),
    )
