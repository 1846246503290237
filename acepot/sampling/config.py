"""What nested sampling needs to know, as frozen data: the one TOML file of `acepot ns`.

`dump_config` writes every value out, so that the file kept in a run's folder says all about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from acepot.basis.species import atomic_number
from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.sampling.limits import MOST, CommitteeLimits, Guards, above_zero, between
from acepot.sampling.mixture import MoveSettings
from acepot.sampling.settings import Exchange, Tuning

__all__ = [
    "Atoms", "EnsembleSettings", "NestedConfig", "Output", "Run", "StopSettings", "dump_config",
    "load_config",
]  # fmt: skip


@dataclass(frozen=True)
class Atoms:
    """Which atoms there are.

    Args:
        composition: how many of each element.
        file: instead, a file of structures, relative to the folder of the TOML file: the elements
            of one of them and, where the shape is fixed, the shape of its cell.
        frame: which of them; negative ones count from the end.
    """

    composition: dict[str, int] = field(default_factory=dict)
    file: str | None = None
    frame: int = 0

    def __post_init__(self) -> None:
        if bool(self.composition) == (self.file is not None):
            got = "both" if self.composition else "neither"
            raise InputError(
                "composition: expected the number of atoms of each element, such as {Si = 8}, or "
                f"instead of it file, a file of structures, got {got}"
            )
        for symbol, count in self.composition.items():
            try:
                atomic_number(symbol)
            except InputError as error:
                raise InputError(f"composition: {error}") from error
            between(f"composition.{symbol}", count, 1, 10_000)


@dataclass(frozen=True)
class EnsembleSettings:
    """What is sampled.

    Args:
        pressures: of the replicas in GPa.
        volume_max: largest volume in Å³ per atom, or the volume where it is fixed; None: from
            typical bond lengths.
        volume_min: smallest volume in Å³ per atom.
        min_aspect: the smallest height that a cell scaled to unit volume may have.
        shape: of the cell, free or fixed.
        volume: free or fixed.
        periodic: whether cells repeat; if not, atoms are in a cube with walls.
        flat_volume: whether the prior is flat in the volume, and samples are weighed afterwards.
        elements: among which atoms change (semi-grand).
        potentials: chemical potentials in eV by element, one for all replicas or one for each.
        kinetic_temperature: K, of the largest kinetic energy (3/2) N kT where momenta are sampled;
            None: (3/2) P N volume_max.
        masses: in amu by element, of trajectories with momenta; those that are not there are
            standard atomic masses.
        ceiling: largest enthalpy of first configurations in eV per atom.
    """

    pressures: tuple[float, ...] = (0.1,)
    volume_max: float | None = None
    volume_min: float = 0.0
    min_aspect: float = 0.8
    shape: Literal["free", "fixed"] = "free"
    volume: Literal["free", "fixed"] = "free"
    periodic: bool = True
    flat_volume: bool = False
    elements: tuple[str, ...] = ()
    potentials: dict[str, float | tuple[float, ...]] = field(default_factory=dict)
    kinetic_temperature: float | None = None
    masses: dict[str, float] = field(default_factory=dict)
    ceiling: float = 1e9

    def __post_init__(self) -> None:
        if not self.pressures or max(map(abs, self.pressures)) > 1e6:
            raise InputError(
                "pressures: expected one or more, -1e6 to 1e6 GPa, got "
                f"{[*self.pressures] if self.pressures else 'none'}"
            )
        above_zero("volume_max", self.volume_max, "Å³ per atom")
        above_zero("kinetic_temperature", self.kinetic_temperature, "K")
        for name in (*self.elements, *self.potentials, *self.masses):
            atomic_number(name)
        for name, mass in self.masses.items():
            above_zero(f"masses.{name}", mass, "amu")
        for name, value in self.potentials.items():
            if isinstance(value, tuple) and len(value) != len(self.pressures):
                raise InputError(
                    f"potentials.{name}: expected one number, or one for each of the "
                    f"{len(self.pressures)} pressures, got {len(value)}"
                )


@dataclass(frozen=True)
class Run:
    """How a run goes.

    Args:
        walkers: of each replica.
        length: evaluations of a walk, from one culling to the next.
        batch: walkers that move in step.
        seed: of every random number.
        shape_rounds: of shears and stretches that make first cells.
        tries: draws of each first configuration until one is allowed.
        threads: of the evaluator; None: OMP_NUM_THREADS, else all processors.
    """

    walkers: int = 400
    length: int = 400
    batch: int = 32
    seed: int = 0
    shape_rounds: int = 1000
    tries: int = 20_000
    threads: int | None = None

    def __post_init__(self) -> None:
        between("walkers", self.walkers, 2, 10_000_000)
        between("length", self.length, 1, MOST)
        between("batch", self.batch, 1, self.walkers - 1)
        between("seed", self.seed, 0, 2**63 - 1)
        between("shape_rounds", self.shape_rounds, 0, 10_000_000)
        between("tries", self.tries, 1, 10_000_000)
        between("threads", self.threads, 1, 1024)


@dataclass(frozen=True)
class StopSettings:
    """When a run is at its end.

    Args:
        temperature: K, the lowest of interest; None: 300 where no iterations are given.
        iterations: at most; None: no limit.
        margin: by which the logarithm of the weight of what is culled must have fallen below its
            largest at that temperature.
    """

    temperature: float | None = None
    iterations: int | None = None
    margin: float = 10.0

    def __post_init__(self) -> None:
        above_zero("temperature", self.temperature, "K")
        above_zero("margin", self.margin, "")
        between("iterations", self.iterations, 1, MOST)


@dataclass(frozen=True)
class Output:
    """How often something is written.

    Args:
        every: iterations between rows of the log.
        culled: iterations between culled configurations that are kept.
        checkpoint: seconds between checkpoints.
    """

    every: int = 100
    culled: int = 100
    checkpoint: float = 60.0

    def __post_init__(self) -> None:
        between("every", self.every, 1, MOST)
        between("culled", self.culled, 1, MOST)
        if not 0.0 <= self.checkpoint <= 1e9:
            raise InputError(f"checkpoint: expected 0 to 1e9 s, got {self.checkpoint:g}")


@dataclass(frozen=True)
class NestedConfig:
    """Everything that determines a run of nested sampling.

    Args:
        model: a model file of any format that acepot reads, relative to the folder of the TOML
            file.
        structure: which atoms there are.
        ensemble: what is sampled.
        run: how.
        moves: kinds of moves; empty: all that can do something.
        stop: when it ends.
        tuning: of step sizes.
        exchange: of walkers between pressures.
        guards: what the model is not trusted with.
        committee: how far its members may be apart.
        output: how often something is written.
    """

    model: str
    structure: Atoms
    ensemble: EnsembleSettings = field(default_factory=EnsembleSettings)
    run: Run = field(default_factory=Run)
    moves: tuple[MoveSettings, ...] = ()
    stop: StopSettings = field(default_factory=StopSettings)
    tuning: Tuning = field(default_factory=Tuning)
    exchange: Exchange = field(default_factory=Exchange)
    guards: Guards = field(default_factory=Guards)
    committee: CommitteeLimits = field(default_factory=CommitteeLimits)
    output: Output = field(default_factory=Output)

    @property
    def temperature(self) -> float | None:
        """Lowest temperature of interest in K; None: the run ends after its iterations."""
        stop = self.stop
        if stop.temperature is None and stop.iterations is None:
            return 300.0
        return stop.temperature

    @property
    def committee_every(self) -> int:
        """Iterations between evaluations of the committee; 0: never."""
        every = self.committee.every
        return self.run.walkers if every is None else every


def load_config(path: str | Path) -> NestedConfig:
    """Read the TOML file of a run.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    return loaded(NestedConfig, path, _renamed)


def dump_config(config: NestedConfig, folder: str | Path) -> str:
    """The TOML text that repeats a run, every default written out.

    Args:
        config: as loaded or made, with what is chosen from the model filled in.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: NestedConfig, name: Callable[[str], str]) -> NestedConfig:
    """The same run, its files called otherwise."""
    structure = config.structure
    if structure.file is not None:
        structure = replace(structure, file=name(structure.file))
    return replace(config, model=name(config.model), structure=structure)
