"""What is wrong with the energy of atoms that come close: too deep, falling, or no core."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from acepot.holes.paths import Path
from acepot.structure import Structure

__all__ = ["BARRIER", "Curve", "Hole", "judged"]

Floats = NDArray[np.float64]

#: eV per atom. A deeper molecule or cell is no bond: the strongest are CO with -5.6, W with -8.9.
_DEEPEST = {"dimer": -7.5, "trimer": -8.0, "squeezed cell": -12.0}
#: eV per atom by which the energy may fall inwards where atoms overlap, and where no data are.
_FALL, _FALL_UNSEEN = 0.05, 0.25
#: eV that two or three atoms must have when they are almost at one place, and eV per atom by which
#: a cell of overlapping atoms must lie above the best of it.
_CORE, _ABOVE = 10.0, 0.5
#: Barriers below are none that would keep hot atoms away, in eV per atom.
BARRIER = 0.5
#: Atoms this close (Å) must have `_CORE`; where tables begin farther out nothing is demanded.
_CLOSE = 0.25


@dataclass(frozen=True, eq=False)
class Hole:
    """A place where atoms fall into each other, or do not repel.

    Args:
        kind: dimer, trimer or squeezed cell.
        name: which of them.
        what: is wrong, in words.
        distance: the shortest there, in Å.
        energy: there, less free atoms, in eV.
        size: how much is wrong, in eV per atom.
        barrier: highest energy on the way there, less free atoms, in eV per atom.
        structure: the atoms there.
    """

    kind: str
    name: str
    what: str
    distance: float
    energy: float
    size: float
    barrier: float
    structure: Structure

    def __str__(self) -> str:
        barrier = f", behind {self.barrier:.2g} eV per atom" if self.barrier > BARRIER else ""
        return f"{self.kind} {self.name}: {self.what}{barrier}"


@dataclass(frozen=True, eq=False)
class Curve:
    """Energies along a path, as far as they were looked at.

    Args:
        path: the atoms.
        distances: the shortest at each step, in Å.
        energies: less free atoms, in eV.
        hole: what is wrong, or None.
    """

    path: Path
    distances: Floats
    energies: Floats
    hole: Hole | None


def judged(path: Path, energies: Floats) -> Curve:
    """The curve of a path with what is wrong with it, if anything."""
    scales = path.scales[: len(energies)]
    curve = Curve(path, scales * path.distance, energies, None)
    if len(energies) == 0:
        return curve
    atoms = len(path.numbers)
    wrong = _too_deep(curve, atoms) or _falling(curve, atoms) or _no_core(curve, atoms)
    if wrong is None:
        return curve
    step, size, what = wrong
    where, energy = float(curve.distances[step]), float(energies[step])
    barrier = max(0.0, float(energies[: step + 1].max()) / atoms)
    hole = Hole(path.kind, path.name, what, where, energy, size, barrier, path.structure(step))
    return replace(curve, hole=hole)


_Wrong = tuple[int, float, str]


def _too_deep(curve: Curve, atoms: int) -> _Wrong | None:
    step = int(curve.energies.argmin())
    each, limit = float(curve.energies[step]) / atoms, _DEEPEST[curve.path.kind]
    if each >= limit:
        return None
    said = f"{each:.3g} eV per atom at {curve.distances[step]:.3g} Å, deeper than any bond"
    return step, limit - each, said


def _falling(curve: Curve, atoms: int) -> _Wrong | None:
    """The largest fall inwards where it must rise."""
    scales, e, worst = curve.path.scales[: len(curve.energies)], curve.energies, None
    for limit, allowed, where in (
        (curve.path.overlap, _FALL, "where atoms overlap"),
        (curve.path.unseen, _FALL_UNSEEN, "closer than in any data"),
    ):
        inside = np.flatnonzero(scales < limit)
        if len(inside) == 0:
            continue
        start = max(int(inside[0]) - 1, 0)
        tops = np.maximum.accumulate(e[start:])
        falls = (tops - e[start:]) / atoms
        step = int(falls.argmax())
        fall = float(falls[step])
        if fall > allowed and (worst is None or fall > worst[1]):
            top = start + int(e[start : start + step + 1].argmax())
            said = (
                f"falls by {fall * atoms:.3g} eV from {curve.distances[top]:.3g} to "
                f"{curve.distances[start + step]:.3g} Å, {where}"
            )
            worst = (start + step, fall, said)
    return worst


def _no_core(curve: Curve, atoms: int) -> _Wrong | None:
    """Atoms almost at one place that hardly repel."""
    e, last = curve.energies, len(curve.energies) - 1
    if len(e) < len(curve.path.scales) or curve.path.scales[last] > curve.path.overlap:
        return None  # it has met a wall, or its atoms do not overlap
    if curve.path.kind == "squeezed cell":
        lacking = (_ABOVE - (e[last] - e.min()) / atoms) if len(e) > 1 else 0.0
        said = f"only {(e[last] - e.min()) / atoms:.3g} eV per atom above its lowest energy"
    elif curve.distances[last] < _CLOSE:
        lacking = (_CORE - e[last]) / atoms
        said = f"no core: {e[last]:.3g} eV"
    else:
        return None
    if not lacking > 0:
        return None
    return last, float(lacking), f"{said} at {curve.distances[last]:.3g} Å, where atoms overlap"
