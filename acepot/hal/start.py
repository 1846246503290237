"""Where a run begins: structures of a file, or atoms at random places in a volume."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from acepot.basis.choices import BOND_LENGTHS
from acepot.basis.species import atomic_number
from acepot.errors import InputError
from acepot.hal.chance import Use, chance
from acepot.hal.guards import Guards, least_distances, touches
from acepot.io.structures.datasets import read_structures
from acepot.sampling.limits import above_zero, between
from acepot.structure import Structure

__all__ = ["Start", "first_structures", "perturbed"]

#: Å, of elements that no table has; and of a bond length, how close atoms begin.
_BOND, _APART = 2.5, 0.8
#: Draws of a place for an atom before all are drawn anew, and how often that happens.
_PLACES, _TRIES = 2000, 200


@dataclass(frozen=True)
class Start:
    """Where walks begin.

    Args:
        file: a file of structures, relative to the folder of the TOML file.
        frames: which of them; empty: all.
        composition: instead of a file, or beside it, how many atoms of each element are put at
            random places in a cube.
        volume: Å³ per atom of that cube.
        structures: how many such cubes.
        copies: of each structure, with atoms and cell displaced, that are labelled at the
            beginning beside it.
        displacement: standard deviation of each coordinate in Å.
        strain: standard deviation of the components of the strain of cells.
    """

    file: str | None = None
    frames: tuple[int, ...] = ()
    composition: dict[str, int] = field(default_factory=dict)
    volume: float | None = None
    structures: int = 2
    copies: int = 1
    displacement: float = 0.05
    strain: float = 0.02

    def __post_init__(self) -> None:
        if not self.composition and self.file is None:
            raise InputError(
                "file: expected a file of structures, or instead of it composition and volume, "
                "got neither"
            )
        for symbol, count in self.composition.items():
            atomic_number(symbol)
            between(f"composition.{symbol}", count, 1, 10_000)
        if self.composition and self.volume is None:
            raise InputError("volume: expected Å³ per atom beside composition, got none")
        above_zero("volume", self.volume, "Å³ per atom")
        between("structures", self.structures, 1, 1000)
        between("copies", self.copies, 0, 1000)
        for name, most in (("displacement", 2.0), ("strain", 0.5)):
            if not 0.0 <= (value := getattr(self, name)) <= most:
                raise InputError(f"{name}: expected 0 to {most:g}, got {value:g}")


def first_structures(start: Start, seed: int) -> list[Structure]:
    """The structures from which walks begin.

    Args:
        start: as the settings say.
        seed: of the run.

    Raises:
        InputError: no such file or frame, or no room for the atoms.
    """
    drawn: list[Structure] = []
    if start.composition:
        drawn = [_drawn(start, chance(seed, Use.START, 0, k)) for k in range(start.structures)]
    if start.file is None:
        return drawn
    found = read_structures(start.file)[0]
    for frame in start.frames:
        if not -len(found) <= frame < len(found):
            raise InputError(
                f"start.frames: expected {-len(found)} to {len(found) - 1} for {start.file}, got "
                f"{frame}"
            )
    chosen = [found[k] for k in start.frames] if start.frames else found
    bare = [Structure(s.numbers, s.positions, s.cell, s.pbc, name=s.name) for s in chosen]
    return [*bare, *drawn]


def perturbed(structure: Structure, start: Start, random: np.random.Generator) -> Structure:
    """A copy with displaced atoms and, where it repeats along all directions, a strained cell."""
    positions, cell = np.array(structure.positions), np.array(structure.cell)
    if structure.pbc.all():
        upper = np.triu(random.standard_normal((3, 3))) * start.strain
        stretch = np.eye(3) + 0.5 * (upper + upper.T)
        positions, cell = positions @ stretch, cell @ stretch
    positions = positions + start.displacement * random.standard_normal(positions.shape)
    return Structure(structure.numbers, positions, cell, structure.pbc, name=structure.name)


def _drawn(start: Start, random: np.random.Generator) -> Structure:
    """Atoms at random places of a cube, one after the other, none too close to another."""
    symbols = [s for s, count in start.composition.items() for _ in range(count)]
    numbers = random.permutation([atomic_number(s) for s in symbols])
    side = np.cbrt((start.volume or 0.0) * len(numbers))
    lengths = np.array([BOND_LENGTHS.get(int(z), _BOND) for z in numbers])
    for attempt in range(_TRIES):
        places = np.empty((0, 3))
        apart = _APART * 0.97**attempt
        for k in range(len(numbers)):
            drawn = side * random.random((_PLACES, 3))
            steps = drawn[:, None] - places[None]
            steps -= side * np.round(steps / side)
            least = apart * 0.5 * (lengths[k] + lengths[:k])
            good = (np.linalg.norm(steps, axis=-1) >= least).all(axis=1)
            if not good.any():
                break
            places = np.concatenate((places, drawn[good][:1]))
        else:
            made = Structure(numbers, places, side * np.eye(3), True, name="random atoms")
            if not touches(least_distances(Guards(), numbers.tolist()), made):
                return made
    raise InputError(
        f"start.volume: expected room for {len(numbers)} atoms, got {start.volume:g} Å³ per atom, "
        "in which they touch; give a larger volume"
    )
