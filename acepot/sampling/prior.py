"""The prior: what configurations are drawn from before the model has a say.

p(V, h0, s) ∝ V^N 1[Vmin <= V <= Vmax] 1[aspect(h0) > d0] 1[no two atoms too close], with V the
volume, h0 the cell scaled to unit volume in the Haar measure of SL(3), and fractional coordinates
s uniform in [0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling import cells as many
from acepot.sampling.cells import Floats, Ints
from acepot.sampling.distances import MinimumDistances

#: Steps of the shape walk of first cells, of lengths of order 1 at unit volume.
_SHEAR, _STRETCH = 0.3, 0.2


@dataclass(frozen=True, eq=False)
class Prior:
    """Which configurations there are, and how they weigh.

    Args:
        volume_max: largest volume in Å³ per atom; where the volume is fixed, that volume.
        volume_min: smallest volume in Å³ per atom.
        min_aspect: d0, the smallest height that a cell scaled to unit volume may have.
        shape: free, or fixed: that of `cell`.
        volume: free or fixed.
        cell: the shape where it is fixed, vectors as rows, shape (3, 3), scaled as needed; where
            shapes are free they begin as cubes. None: a cube.
        flat_volume: density V^0 instead of V^N: each sample is weighed by V^N afterwards.
        periodic: whether the model sees images; if not, atoms move in the cell as in a box with
            walls, which stays as it is.
        distances: the smallest between atoms.
        ceiling: largest enthalpy in eV per atom of what is drawn.

    Raises:
        InputError: volumes, an aspect or a cell that cannot be.
    """

    volume_max: float
    volume_min: float = 0.0
    min_aspect: float = 0.8
    shape: Literal["free", "fixed"] = "free"
    volume: Literal["free", "fixed"] = "free"
    cell: Floats | None = None
    flat_volume: bool = False
    periodic: bool = True
    distances: MinimumDistances = field(default_factory=MinimumDistances)
    ceiling: float = 1e9

    def __post_init__(self) -> None:
        if not 0 <= self.volume_min < self.volume_max < np.inf:
            raise InputError(
                "volume_min, volume_max: expected 0 <= volume_min < volume_max in Å³ per atom, got "
                f"{self.volume_min} and {self.volume_max}"
            )
        if not 0 < self.min_aspect < 1:
            raise InputError(
                f"min_aspect: expected a number between 0 and 1, got {self.min_aspect}"
            )
        for name, choice in (("shape", self.shape), ("volume", self.volume)):
            if choice not in ("free", "fixed"):
                raise InputError(f"{name}: expected free or fixed, got {choice!r}")
            if choice == "free" and not self.periodic:
                raise InputError(f"{name}: a box that is not periodic is fixed, got {choice!r}")
        cell = np.eye(3) if self.cell is None else np.array(self.cell, dtype=float)
        if cell.shape != (3, 3) or not many.volumes(cell) > 0:
            raise InputError(f"cell: expected three right-handed vectors, got {cell.tolist()}")
        if self.shape == "free" and self.cell is not None:
            raise InputError("cell: only where the shape is fixed; free shapes begin as cubes")
        object.__setattr__(self, "cell", cell / np.cbrt(many.volumes(cell)))

    def chance(self, volumes: Floats, others: Floats, atoms: int, more: int = 0) -> Floats:
        """How likely a change of volume is accepted, min(1, (V'/V)^N); 0 out of range.

        Args:
            volumes: V in Å³, shape (m,).
            others: V' in Å³, shape (m,).
            atoms: N.
            more: what the power is larger by, 1 where steps are those of ln V.

        Returns:
            Shape (m,).
        """
        allowed = (others >= self.volume_min * atoms) & (others <= self.volume_max * atoms)
        power = more + (0 if self.flat_volume else atoms)
        return np.asarray(allowed * np.minimum(others / volumes, 1.0) ** power)

    def guard(
        self, good: NDArray[np.bool_], numbers: Ints, positions: Floats, cells: Floats
    ) -> None:
        """Take out of a choice of configurations those with atoms too close, or outside a box.

        Args:
            good: is changed, shape (m,); only those that are true are looked at.
            numbers: atomic numbers, shape (m, n).
            positions: in Å, shape (m, n, 3).
            cells: in Å, shape (m, 3, 3).
        """
        self.distances.guard(good, numbers, positions, cells, self.periodic)
        if not self.periodic:
            s = many.fractional(positions, cells)
            good &= ((s >= 0) & (s < 1)).all(axis=(1, 2))

    def broken(self, numbers: Ints, positions: Floats, cells: Floats) -> NDArray[np.bool_]:
        """Whether atoms are too close, or outside a box.

        Args:
            numbers: atomic numbers, shape (m, n).
            positions: in Å, shape (m, n, 3).
            cells: in Å, shape (m, 3, 3).

        Returns:
            Shape (m,).
        """
        good = np.ones(len(numbers), dtype=bool)
        self.guard(good, numbers, positions, cells)
        return ~good

    def draw_volumes(self, random: np.random.Generator, count: int, atoms: int) -> Floats:
        """Volumes of first configurations in Å³, with density V^N, shape (count,).

        The distribution function is (V^(N+1) - Vmin^(N+1)) / (Vmax^(N+1) - Vmin^(N+1)).
        """
        u = random.random(count)
        if self.volume == "fixed":
            return np.full(count, self.volume_max * atoms)
        power = 1 if self.flat_volume else atoms + 1
        low = (self.volume_min / self.volume_max) ** power
        return np.asarray(self.volume_max * atoms * (low + u * (1 - low)) ** (1 / power))

    def walk_shapes(self, random: np.random.Generator, shapes: Floats, rounds: int) -> Floats:
        """Cells of unit volume after a walk of shears and stretches within the least aspect.

        Args:
            random: draws all numbers.
            shapes: where it begins, shape (m, 3, 3).
            rounds: of one shear and one stretch.

        Returns:
            Shape (m, 3, 3).
        """
        if self.shape == "fixed":
            return shapes
        m = len(shapes)
        nothing = np.zeros((m, 0, 3))
        for _ in range(rounds):
            vectors, axes = random.integers(0, 3, m), random_axes(random, (m,))
            shear = _SHEAR * random.standard_normal((m, 2))
            stretch = _STRETCH * random.standard_normal(m)
            _, other = many.sheared(nothing, shapes, vectors, shear)
            shapes = self._kept(shapes, other)
            _, other = many.stretched(nothing, shapes, axes, stretch)
            shapes = self._kept(shapes, other)
        return shapes

    def _kept(self, shapes: Floats, others: Floats) -> Floats:
        """The other shapes where they are allowed."""
        keep = many.aspects(others) > self.min_aspect
        return np.where(keep[:, None, None], others, shapes)


def random_axes(random: np.random.Generator, shape: tuple[int, ...]) -> Ints:
    """Two different axes of three, all six pairs alike, shape (..., 2)."""
    pick = random.integers(0, 6, shape)
    first = pick // 2
    return np.stack((first, (first + 1 + pick % 2) % 3), axis=-1)
