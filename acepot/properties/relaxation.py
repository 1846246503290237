"""Structures at rest: positions, and the cell as well, by L-BFGS."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from acepot.errors import ConvergenceError
from acepot.evaluate.protocol import Result
from acepot.structure import Structure

__all__ = ["Computes", "Relaxed", "minimised", "relaxed"]

Floats = NDArray[np.float64]
#: Pairs of steps and changes of the gradient that are kept, and the longest step of an atom in Å.
_MEMORY, _LONGEST = 20, 0.15
#: Curvature that is taken for granted at the first step, eV/Å².
_STIFFNESS = 10.0
#: How often a step that leads upwards is shortened, and to which part.
_SHORTER, _PART = 12, 0.4
#: A rise of the energy that is rounding, relative and in eV.
_ROUNDING = 1e-12


class Computes(Protocol):
    """Whatever computes energies, forces and virials: a `Potential`, or a reference."""

    def compute(self, structure: Structure) -> Result:
        """Energy in eV, forces in eV/Å, virial in eV."""
        ...


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A structure at rest.

    Args:
        structure: where it is.
        energy: total, in eV.
        force: largest force that is left, in eV/Å.
        stress: largest component of the stress that is left where the cell was free, eV/Å³.
        steps: evaluations that it took.
        is_at_rest: whether forces and stress are below what was asked.
    """

    structure: Structure
    energy: float
    force: float
    stress: float
    steps: int
    is_at_rest: bool


def relaxed(
    potential: Computes,
    start: Structure,
    *,
    cell: Literal["fixed", "volume", "free"] = "fixed",
    force: float = 1e-5,
    stress: float = 1e-7,
    steps: int = 2000,
) -> Relaxed:
    """Let the atoms of a structure go to rest, and its cell where that is free.

    Args:
        potential: what computes energies.
        start: where it begins, a symmetry of which is kept.
        cell: fixed; volume: its shape is free and its volume kept; free: all of it.
        force: largest force in eV/Å to end at.
        stress: largest stress in eV/Å³ to end at, where the cell is not fixed.
        steps: evaluations at most.

    Raises:
        InputError: atoms that came too close to be evaluated.
    """
    surface = _Surface(potential, start, cell)
    x, energy, gradient, count = minimised(
        surface.value, surface.begin(), lambda g: surface.is_at_rest(g, force, stress), steps,
        longest=_LONGEST,
    )  # fmt: skip
    forces, stresses = surface.parts(gradient)
    return Relaxed(
        surface.structure(x),
        energy,
        float(np.abs(forces).max(initial=0.0)),
        float(np.abs(stresses).max(initial=0.0)),
        count,
        surface.is_at_rest(gradient, force, stress),
    )


class _Surface:
    """Energy over positions and strain as one vector, in which all of it is of like stiffness.

    Positions are those before the strain, r = x (1 + ε); the strain is multiplied by the cube root
    of the volume of an atom times √n, so that its steps move atoms as far as others do.
    """

    def __init__(self, potential: Computes, start: Structure, cell: str) -> None:
        self._potential, self._start, self._cell = potential, start, cell
        self._count = 3 * len(start)
        volume = start.volume if cell != "fixed" else 1.0
        self._volume = volume
        self._scale = np.cbrt(volume / len(start)) * np.sqrt(len(start)) if volume else 1.0

    def begin(self) -> Floats:
        extra = 0 if self._cell == "fixed" else 9
        return np.concatenate([self._start.positions.ravel(), np.zeros(extra)])

    def structure(self, x: Floats) -> Structure:
        positions = x[: self._count].reshape(-1, 3)
        if self._cell == "fixed":
            return self._start.moved(positions)
        _, deform = self._deformed(x)
        return self._start.moved(positions @ deform, self._start.cell @ deform)

    def _deformed(self, x: Floats) -> tuple[Floats, Floats]:
        """1 + ε, and the same at the volume of the start where that is kept."""
        strain = x[self._count :].reshape(3, 3) / self._scale
        deform = np.eye(3) + (strain + strain.T) / 2
        if self._cell == "free":
            return deform, deform
        return deform, deform / np.cbrt(np.linalg.det(deform))

    def value(self, x: Floats) -> tuple[float, Floats]:
        found = self._potential.compute(self.structure(x))
        if self._cell == "fixed":
            return float(found.energy), -found.forces.ravel()
        raw, deform = self._deformed(x)
        virial = found.virial
        if self._cell == "volume":
            virial = virial - np.eye(3) * np.trace(virial) / 3
        slope = -np.linalg.inv(raw) @ virial
        slope = (slope + slope.T) / 2 / self._scale
        return float(found.energy), np.concatenate(
            [-(found.forces @ deform).ravel(), slope.ravel()]
        )

    def parts(self, gradient: Floats) -> tuple[Floats, Floats]:
        """Forces in eV/Å and stresses in eV/Å³."""
        return -gradient[: self._count], gradient[self._count :] * self._scale / self._volume

    def is_at_rest(self, gradient: Floats, force: float, stress: float) -> bool:
        forces, stresses = self.parts(gradient)
        return bool(
            np.abs(forces).max(initial=0.0) <= force and np.abs(stresses).max(initial=0.0) <= stress
        )


def minimised(
    value: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    is_at_rest: Callable[[Floats], bool],
    steps: int,
    *,
    longest: float = _LONGEST,
    stiffness: float = _STIFFNESS,
) -> tuple[Floats, float, Floats, int]:
    """The minimum near a point, by L-BFGS with steps of limited length.

    A step is accepted when the energy falls or, near rounding, when the gradient does.

    Args:
        value: energy and gradient at a point.
        start: the point.
        is_at_rest: whether a gradient is small enough.
        steps: evaluations at most.
        longest: largest change of a coordinate in a step.
        stiffness: a typical second derivative.

    Returns:
        Point, energy, gradient and number of evaluations. Where no step leads down any more the
        point is the last one.

    Raises:
        ConvergenceError: the energy is not a number.
    """
    x = np.array(start)
    energy, gradient = value(x)
    pairs: deque[tuple[Floats, Floats]] = deque(maxlen=_MEMORY)
    count = 1
    while count < steps and not is_at_rest(gradient):
        step = _direction(gradient, pairs, stiffness)
        if step @ gradient > 0:
            pairs.clear()
            step = -gradient / stiffness
        step *= min(1.0, longest / max(float(np.abs(step).max()), 1e-300))
        for _ in range(_SHORTER):
            after, slope = value(x + step)
            count += 1
            if not np.isfinite(after):
                raise ConvergenceError("minimum: the energy is not a number there")
            rise, noise = after - energy, _ROUNDING * max(1.0, abs(energy))
            if rise <= 1e-4 * (step @ gradient) + noise:
                break
            if abs(rise) < 1e3 * noise and np.linalg.norm(slope) < np.linalg.norm(gradient):
                break
            step = step * _PART
        else:
            if not pairs:
                break
            pairs.clear()
            continue
        change = slope - gradient
        if change @ step > 1e-12 * np.linalg.norm(change) * np.linalg.norm(step):
            pairs.append((step, change))
        x, energy, gradient = x + step, after, slope
    return x, energy, gradient, count


def _direction(gradient: Floats, pairs: deque[tuple[Floats, Floats]], stiffness: float) -> Floats:
    """-H⁻¹ g of the quadratic model that the pairs are of (two loops)."""
    if not pairs:
        return np.asarray(-gradient / stiffness)
    q, parts = np.array(gradient), []
    for step, change in reversed(pairs):
        part = (step @ q) / (step @ change)
        q -= part * change
        parts.append(part)
    step, change = pairs[-1]
    q *= (step @ change) / (change @ change)
    for (step, change), part in zip(pairs, reversed(parts), strict=True):
        q += (part - (change @ q) / (step @ change)) * step
    return np.asarray(-q)
