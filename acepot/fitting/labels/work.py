"""Energies of neighbouring frames against the work of forces and stresses between them.

Two frames of the same atoms that are a small displacement u and a small strain ε apart have

    E' - E = -(F + F')/2 · u - (W + W')/2 : ε + O(u³, ε³),

the trapezoidal rule along the straight path, with u = Δs (c + c')/2 of fractional coordinates s and
ε = ((c + c')/2)⁻¹ (c' - c), vectors as rows. No model is needed: whether a stress has the sign and
the unit of -dE/dV, a few volumes of one crystal tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.labels.composition import robust
from acepot.fitting.labels.factors import ENERGIES, PRESSURES, STRESSES, reading
from acepot.fitting.labels.findings import Finding, named, strange, wrong
from acepot.structure import Structure

__all__ = ["Comparison", "Steps", "findings", "steps"]

Floats = NDArray[np.float64]
#: Frames are neighbours up to this displacement of an atom in Å and this strain.
_DISPLACED, _STRAINED = 0.3, 0.08
#: Displacements in Å and strains below these are none.
_STILL, _RIGID = 1e-5, 1e-6
#: Pairs of frames at most, and the fewest that tell.
_MOST, _FEWEST = 2000, 4
#: Work in eV/atom below which rounding of energies tells nothing.
_LEAST = 1e-5
#: A part of the work must be this large beside the other one to be compared.
_DOMINANT = 1.0
#: Factors by which a slope may be off without being strange, and without being wrong.
_STRANGE, _WRONG = 1.6, 3.0
#: Correlation, and standard deviations from 1, of a slope that is told of.
_ALIKE, _SURE = 0.9, 8.0


@dataclass(frozen=True, eq=False)
class Steps:
    """Pairs of neighbouring frames, per atom in eV.

    Args:
        frames: the two of each pair.
        energies: E' - E of each pair, shape (pairs,).
        forces: the work of the forces, -(F + F')/2 · u, shape (pairs,).
        virials: the work of the virials, -(W + W')/2 : ε, shape (pairs,).
        volumes: V' - V in Å³/atom, shape (pairs,).
    """

    frames: tuple[tuple[Structure, Structure], ...]
    energies: Floats
    forces: Floats
    virials: Floats
    volumes: Floats

    @property
    def of_virials(self) -> NDArray[np.bool_]:
        """Pairs in which the virial does most of the work, shape (pairs,)."""
        size = np.abs(self.virials)
        return np.asarray((size > _LEAST) & (size > _DOMINANT * np.abs(self.forces)))

    @property
    def of_forces(self) -> NDArray[np.bool_]:
        """Pairs in which the forces do most of the work, shape (pairs,)."""
        size = np.abs(self.forces)
        return np.asarray((size > _LEAST) & (size > _DOMINANT * np.abs(self.virials)))

    def compare_virials(self) -> Comparison | None:
        """Virials against what the energies say, with a pressure that all may have in common."""
        chosen = self.of_virials
        return _compared(
            self.virials[chosen],
            (self.energies - self.forces)[chosen],
            -self.volumes[chosen],
            [one for one, own in zip(self.frames, chosen, strict=True) if own],
        )

    def compare_forces(self) -> Comparison | None:
        """Energies against what the forces say."""
        chosen = self.of_forces
        return _compared(
            (self.energies - self.virials)[chosen],
            self.forces[chosen],
            None,
            [one for one, own in zip(self.frames, chosen, strict=True) if own],
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """A slope through the origin.

    Args:
        slope: labels over what they should be: 1 where all is well.
        error: of the slope.
        correlation: of the two.
        pressure: that all virials have in common beyond what energies say, in eV/Å³.
        pressure_error: of that.
        frames: the pairs.
    """

    slope: float
    error: float
    correlation: float
    pressure: float
    pressure_error: float
    frames: list[tuple[Structure, Structure]]

    def off(self, factor: float) -> bool:
        """Whether the slope is surely no nearer to 1 than by a factor, or negative."""
        sure = self.correlation > _ALIKE and abs(self.slope - 1) > _SURE * self.error
        return sure and not 1 / factor < self.slope < factor

    @property
    def told(self) -> bool:
        """Whether the slope is known at all."""
        return self.correlation > _ALIKE and self.error < 0.5 * abs(self.slope)


def steps(structures: Sequence[Structure]) -> Steps:
    """Pairs of neighbouring frames: those that follow each other, and those of similar volume.

    Args:
        structures: in the order of their files.
    """
    groups: dict[tuple[bytes, bytes], list[Structure]] = {}
    for one in structures:
        if one.energy is not None and (one.forces is not None or one.virial is not None):
            groups.setdefault((one.numbers.tobytes(), one.pbc.tobytes()), []).append(one)
    pairs: dict[tuple[int, int], tuple[Structure, Structure]] = {}
    for members in groups.values():
        by_volume = sorted(members, key=lambda s: s.volume)
        for order in (members, by_volume):
            for a, b in zip(order, order[1:], strict=False):
                pairs.setdefault((min(id(a), id(b)), max(id(a), id(b))), (a, b))
    chosen = list(pairs.values())
    chosen = chosen[:: max(1, -(-len(chosen) // _MOST))]
    found = [(pair, work) for pair in chosen if (work := _work(*pair)) is not None]
    table = np.array([work for _, work in found]).reshape(-1, 4)
    return Steps(tuple(pair for pair, _ in found), *table.T)


def findings(structures: Sequence[Structure], fitted: bool) -> Iterator[Finding]:
    """Forces and stresses that are not the derivatives of the energies beside them.

    Args:
        structures: training structures.
        fitted: whether virials enter the fit.
    """
    made = steps(structures)
    forces = made.compare_forces()
    if forces is not None and forces.off(_STRANGE):
        meaning = reading(forces.slope, ENERGIES)
        text = (
            f"{_named(forces)}: energies of neighbouring frames differ by {forces.slope:.3g} ± "
            f"{forces.error:.1g} times the work of the forces between them"
        )
        if forces.slope < 0:
            text += ": the forces have the wrong sign (units: forces=-eV/Å)"
        elif meaning:
            text += f": this looks like {meaning}"
        yield wrong(text) if forces.off(_WRONG) else strange(text)
        return
    virials = made.compare_virials()
    if virials is not None and virials.off(_STRANGE):
        text = f"{_named(virials)}: {_words(virials)}"
        yield wrong(text) if fitted and virials.off(_WRONG) else strange(text)


def _words(virials: Comparison) -> str:
    """What a slope of virials against -dE/dε means."""
    text = (
        f"stresses or virials of neighbouring frames are {virials.slope:.3g} ± "
        f"{virials.error:.1g} times what their energies say (-dE/dV)"
    )
    size = abs(virials.slope)
    if virials.slope < 0 and 1 / _STRANGE < size < _STRANGE:
        return f"{text}: they have the wrong sign (units: stress=-eV/Å^3, or virial=-eV)"
    whole = float(np.median([s.volume for pair in virials.frames for s in pair]))
    if 0.7 < size * whole < 1.4:
        return f"{text}, which is one over the volume: a stress under the key of a virial"
    keyed = ", or a virial under the key of a stress" if 0.7 < size / whole < 1.4 else ""
    sign = " with the wrong sign" if virials.slope < 0 else ""
    meaning = reading(size, STRESSES) or reading(size, PRESSURES, float(np.log(2)))
    if meaning:
        minus = "-" if sign else ""
        return f"{text}: this looks like {meaning}{sign} (units: stress={minus}{meaning}){keyed}"
    return f"{text}, so they are in another unit{sign}{keyed}"


def _named(compared: Comparison) -> str:
    """The frames of the pairs, each once."""
    every = {id(s): s for pair in compared.frames for s in pair}
    return named(list(every.values()))


def _work(one: Structure, other: Structure) -> tuple[float, float, float, float] | None:
    """Difference of energies, work of forces and virials in eV/atom, and of volumes in Å³/atom."""
    strain: Floats = np.zeros((3, 3))
    moved: Floats = other.positions - one.positions
    if one.pbc.any():
        if not one.pbc.all() and not np.array_equal(one.cell, other.cell):
            return None
        if one.pbc.all():
            mean = 0.5 * (one.cell + other.cell)
            strain = np.asarray(np.linalg.inv(mean) @ (other.cell - one.cell))
            first, second = (s.positions @ np.linalg.inv(s.cell) for s in (one, other))
            shift = second - first
            moved = (shift - np.round(shift)) @ mean
    if np.abs(strain).max() > _STRAINED or np.abs(moved).max() > _DISPLACED:
        return None
    still, rigid = np.abs(moved).max() < _STILL, np.abs(strain).max() < _RIGID
    if (still and rigid) or one.energy is None or other.energy is None:
        return None
    by_forces = by_virials = 0.0
    if not still:
        if one.forces is None or other.forces is None:
            return None
        by_forces = -0.5 * float(np.vdot(one.forces + other.forces, moved))
    if not rigid:
        if one.virial is None or other.virial is None:
            return None
        by_virials = -0.5 * float(np.vdot(one.virial + other.virial, strain))
    n = len(one)
    return (
        (other.energy - one.energy) / n,
        by_forces / n,
        by_virials / n,
        (other.volume - one.volume) / n,
    )


def _compared(
    labels: Floats,
    expected: Floats,
    offset: Floats | None,
    frames: list[tuple[Structure, Structure]],
) -> Comparison | None:
    """Labels as a multiple of what they should be, and of an offset; None: too few of them."""
    if len(labels) < _FEWEST or not expected.any() or not labels.any():
        return None
    given = [expected] if offset is None else [expected, offset]
    scale = np.array([max(float(np.linalg.norm(one)), 1e-12) for one in given])
    columns: Floats = np.column_stack(given) / scale
    solution = robust(columns, labels)
    left = labels - columns @ solution
    freedom = len(labels) / max(len(labels) - columns.shape[1], 1)
    noise = max(1.48 * float(np.median(np.abs(left))) * np.sqrt(freedom), 1e-9)
    errors = noise * np.sqrt(np.maximum(np.diag(np.linalg.pinv(columns.T @ columns)), 0.0))
    solution, errors = np.asarray(solution / scale), np.asarray(errors / scale)
    spread = 1.48 * float(np.median(np.abs(labels)))
    return Comparison(
        slope=float(solution[0]),
        error=float(errors[0]),
        correlation=float(np.sqrt(max(0.0, 1 - (noise / spread) ** 2))) if spread > 0 else 0.0,
        pressure=float(solution[1]) if offset is not None else 0.0,
        pressure_error=float(errors[1]) if offset is not None else 0.0,
        frames=frames,
    )
