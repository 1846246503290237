"""The kinds of moves of a run, as settings: a table [[moves]] for each."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acepot.errors import InputError
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.atom import Atom
from acepot.sampling.moves.galilean import Galilean
from acepot.sampling.moves.hamiltonian import Hamiltonian
from acepot.sampling.moves.protocol import Move
from acepot.sampling.moves.shape import Shear, Stretch
from acepot.sampling.moves.species import Swap, Transmutation
from acepot.sampling.moves.volume import Volume
from acepot.schema import Kind

__all__ = ["MoveSettings", "mixture", "names"]


class MoveSettings(Kind, tag="kind"):
    """A kind of move and how often it is chosen.

    Args:
        weight: how often, beside the weights of the others.
    """

    weight: float

    def check(self) -> None:
        """Refuse numbers that are none of a move."""
        for name in ("weight", "step"):
            value = getattr(self, name, None)
            if value is not None and not 0.0 < value <= 1e9:
                raise InputError(f"{name}: expected more than 0, up to 1e9, got {value:g}")
        for name, unit in (("length", " steps"), ("parts", ""), ("cluster", " atoms")):
            count = getattr(self, name, 1)
            if not 1 <= count <= 10_000:
                raise InputError(f"{name}: expected 1 to 10000{unit}, got {count}")
        turn = getattr(self, "turn", 0.0)
        if not 0.0 <= turn <= np.pi:
            raise InputError(f"turn: expected 0 to π radians, got {turn:g}")

    @abstractmethod
    def move(self) -> Move:
        """What makes it."""


@dataclass(frozen=True)
class GalileanSettings(MoveSettings, kind="galilean"):
    """All atoms along straight lines that are reflected at the limit.

    Args:
        weight: how often it is chosen.
        length: steps of a trajectory, each an evaluation.
        step: first width of a step in Å for each coordinate; None: from the largest volume.
        parts: trajectories one after the other.
        turn: angle in radians by which the direction turns from one to the next.
    """

    weight: float = 1.0
    length: int = 8
    step: float | None = None
    parts: int = 1
    turn: float = 0.3

    def move(self) -> Move:
        """What makes it."""
        return Galilean(self.weight, self.length, self.step, self.parts, self.turn)


@dataclass(frozen=True)
class HamiltonianSettings(MoveSettings, kind="hamiltonian"):
    """All atoms by molecular dynamics at constant enthalpy, with momenta that are sampled too.

    Args:
        weight: how often it is chosen.
        length: steps of a trajectory, each an evaluation.
        step: first time step in Å √(amu/eV), which is 10.18 fs; None: from the largest volume.
        parts: trajectories one after the other.
        turn: angle in radians by which the momenta turn from one to the next.
    """

    weight: float = 1.0
    length: int = 8
    step: float | None = None
    parts: int = 1
    turn: float = 0.3

    def move(self) -> Move:
        """What makes it."""
        return Hamiltonian(self.weight, self.length, self.step, self.parts, self.turn)


@dataclass(frozen=True)
class AtomSettings(MoveSettings, kind="atom"):
    """One atom at a time.

    Args:
        weight: how often it is chosen.
        step: first width of each component in Å; None: from the largest volume.
    """

    weight: float = 1.0
    step: float | None = None

    def move(self) -> Move:
        """What makes it."""
        return Atom(self.weight, self.step)


@dataclass(frozen=True)
class VolumeSettings(MoveSettings, kind="volume"):
    """The volume.

    Args:
        weight: how often it is chosen.
        logarithmic: whether its logarithm moves.
        step: first size, in Å³ per atom or, logarithmic, a part of the volume; None: from the
            largest volume.
    """

    weight: float = 1.0
    logarithmic: bool = False
    step: float | None = None

    def move(self) -> Move:
        """What makes it."""
        return Volume(self.weight, self.logarithmic, self.step)


@dataclass(frozen=True)
class ShearSettings(MoveSettings, kind="shear"):
    """Shears of the cell.

    Args:
        weight: how often it is chosen.
        step: first size in units of the cube root of the volume; None: 0.1.
    """

    weight: float = 1.0
    step: float | None = None

    def move(self) -> Move:
        """What makes it."""
        return Shear(self.weight, 0.1 if self.step is None else self.step)


@dataclass(frozen=True)
class StretchSettings(MoveSettings, kind="stretch"):
    """Stretches of the cell.

    Args:
        weight: how often it is chosen.
        step: first width of the logarithm; None: 0.1.
    """

    weight: float = 1.0
    step: float | None = None

    def move(self) -> Move:
        """What makes it."""
        return Stretch(self.weight, 0.1 if self.step is None else self.step)


@dataclass(frozen=True)
class SwapSettings(MoveSettings, kind="swap"):
    """Two atoms of different elements, or two clusters of atoms, exchange places.

    Args:
        weight: how often it is chosen.
        cluster: atoms of the largest cluster.
    """

    weight: float = 1.0
    cluster: int = 1

    def move(self) -> Move:
        """What makes it."""
        return Swap(self.weight, self.cluster)


@dataclass(frozen=True)
class TransmutationSettings(MoveSettings, kind="transmutation"):
    """An atom becomes another element.

    Args:
        weight: how often it is chosen.
    """

    weight: float = 1.0

    def move(self) -> Move:
        """What makes it."""
        return Transmutation(self.weight)


def mixture(ensemble: Ensemble) -> tuple[MoveSettings, ...]:
    """The moves of a run whose settings name none: all that can do something.

    A trajectory of eight steps, two changes of volume and one each of the others come equally
    often: two thirds of the evaluations are those of trajectories.

    Args:
        ensemble: what is sampled.
    """
    chosen: list[MoveSettings] = [GalileanSettings()]
    if ensemble.prior.volume == "free":
        chosen.append(VolumeSettings(weight=2.0))
    if ensemble.prior.shape == "free":
        chosen += [ShearSettings(), StretchSettings()]
    if len({*ensemble.numbers.tolist(), *ensemble.elements}) > 1:
        chosen.append(SwapSettings(weight=2.0))
    if len(ensemble.elements) > 1:
        chosen.append(TransmutationSettings(weight=2.0))
    return tuple(chosen)


def names(moves: Sequence[Move]) -> list[str]:
    """What moves are called in files: their kinds, with a number where there are several.

    Args:
        moves: of a run.
    """
    seen, found = Counter[str](), []
    for move in moves:
        seen[move.kind] += 1
        found.append(move.kind if seen[move.kind] == 1 else f"{move.kind}{seen[move.kind]}")
    return found
