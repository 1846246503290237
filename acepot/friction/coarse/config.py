"""The TOML file of `acepot friction coarse`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from acepot.basis.spec import BasisSpec
from acepot.basis.species import atomic_number
from acepot.configuration import loaded
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.friction.settings import FrictionSettings
from acepot.schema import Settings

__all__ = ["CoarseConfig", "Fine", "Mapping", "Memory", "load_config"]


@dataclass(frozen=True)
class Fine(Settings):
    """Fine trajectories in equilibrium.

    Args:
        files: each a trajectory with forces: NPZ with positions, forces, numbers, cell and pbc, or
            any file of structures; relative to the folder of the TOML file.
        interval: fs between frames, well below the memory time of the forces.
        temperature: K.
    """

    files: tuple[str, ...]
    interval: float
    temperature: float

    def check(self) -> None:
        """There must be something."""
        if not self.files:
            raise InputError("files: expected one or more")
        at_least("interval", self.interval, above=True)
        at_least("temperature", self.temperature, above=True)


@dataclass(frozen=True)
class Mapping(Settings):
    """From atoms to beads.

    Args:
        atoms_per_bead: so many atoms after each other are a bead at their centre of mass.
        element: what stands for a bead in the coarse model.
        mass: of a bead in amu; None: the sum over its atoms.
    """

    atoms_per_bead: int = 1
    element: str = "Ar"
    mass: float | None = None

    def check(self) -> None:
        """A bead has atoms."""
        at_least("atoms_per_bead", self.atoms_per_bead, above=True)
        atomic_number(self.element)
        if self.mass is not None:
            at_least("mass", self.mass, above=True)


@dataclass(frozen=True)
class Memory(Settings):
    """How the fluctuating force becomes friction.

    Args:
        lag: fs over which its correlation is summed up; None: 6 memory times.
        window: fs over which beads are taken to stand still; None: 4 lags.
        separation: relaxation time over memory time below which nothing Markovian is made.
        sweeps: times that the drag of the friction of the sweep before is taken out of forces.
    """

    lag: float | None = None
    window: float | None = None
    separation: float = 5.0
    sweeps: int = 3

    def check(self) -> None:
        """Times are positive."""
        for name in ("lag", "window"):
            if (value := getattr(self, name)) is not None:
                at_least(name, value, above=True)
        at_least("separation", self.separation)
        at_least("sweeps", self.sweeps, above=True)


@dataclass(frozen=True)
class CoarseConfig(Settings):
    """Everything that determines a coarse model.

    Args:
        fine: the trajectories.
        mapping: what a bead is.
        potential: basis of the potential of mean force.
        memory: from fluctuating forces to friction.
        friction: the model of friction and its fit.
        timestep: fs, of the simulation that is made ready.
    """

    fine: Fine
    mapping: Mapping = field(default_factory=Mapping)
    potential: BasisSpec = field(default_factory=lambda: BasisSpec(order=1, degree=12.0))
    memory: Memory = field(default_factory=Memory)
    friction: FrictionSettings = field(default_factory=FrictionSettings)
    timestep: float = 1.0

    def check(self) -> None:
        """The time step is positive."""
        at_least("timestep", self.timestep, above=True)


def load_config(path: str | Path) -> CoarseConfig:
    """Read the TOML file.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    return loaded(CoarseConfig, path, renamed)


def renamed(config: CoarseConfig, name: Callable[[str], str]) -> CoarseConfig:
    """The same with its files called otherwise."""
    return replace(config, fine=replace(config.fine, files=tuple(map(name, config.fine.files))))
