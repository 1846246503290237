"""What hyperactive learning needs to know, as frozen data: the one TOML file of `acepot hal`.

`dump_config` writes every value out, so that the file kept in a run's folder says all about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from acepot.basis.spec import BasisSpec
from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.fitting.priors import Algebraic, Prior
from acepot.fitting.recipe import Recipe, Restraint, Weights
from acepot.fitting.solvers import BLR, Solver
from acepot.hal.bias import Bias
from acepot.hal.criterion import Criterion, Relative
from acepot.hal.guards import Guards
from acepot.hal.moves import Move
from acepot.hal.reference.settings import FileReference, ReferenceSettings
from acepot.hal.start import Start
from acepot.sampling.limits import MOST, above_zero, between
from acepot.schema import Settings

__all__ = [
    "FitSettings", "Growth", "HalConfig", "Motion", "Output", "Run", "Stop", "dump_config",
    "load_config",
]  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """How walkers move.

    Args:
        walkers: that move at once.
        steps: of a walk at most.
        timestep: fs.
        friction: of the Langevin thermostat, 1/ps.
        temperature: K, at the beginning of a walk.
        temperature_end: K, at its end, to which it changes linearly; None: it stays.
        pressure: GPa, at the beginning of a walk; it counts where moves change the cell.
        pressure_end: GPa, at its end; None: it stays.
        onward: a walk that the criterion ended goes on from there under the next model, up to its
            last step; else the next one begins at a first structure.
    """

    temperature: float
    walkers: int = 4
    steps: int = 2000
    timestep: float = 1.0
    friction: float = 10.0
    temperature_end: float | None = None
    pressure: float = 0.0
    pressure_end: float | None = None
    onward: bool = True

    def __post_init__(self) -> None:
        between("walkers", self.walkers, 1, 10_000)
        between("steps", self.steps, 1, MOST)
        above_zero("timestep", self.timestep, "fs")
        above_zero("friction", self.friction, "1/ps")
        above_zero("temperature", self.temperature, "K")
        above_zero("temperature_end", self.temperature_end, "K")
        for name in ("pressure", "pressure_end"):
            value = getattr(self, name)
            if value is not None and not abs(value) <= 1e6:
                raise InputError(f"{name}: expected -1e6 to 1e6 GPa, got {value:g}")

    def targets(self, step: int) -> tuple[float, float]:
        """Temperature in K and pressure in GPa at a step of a walk."""
        part = min(step / self.steps, 1.0)

        def between_ends(begin: float, end: float | None) -> float:
            return begin if end is None else begin + part * (end - begin)

        return (
            between_ends(self.temperature, self.temperature_end),
            between_ends(self.pressure, self.pressure_end),
        )


@dataclass(frozen=True)
class FitSettings(Settings):
    """How models are fitted; docs/fit_toml.md describes the tables that a fit has too.

    Args:
        basis: the basis functions.
        observables: what is fitted; empty: energies, forces, and virials where the reference gives
            stresses.
        e0: energy of each isolated atom in eV by symbol; None: of the reference.
        weights: by config type, which is why a walk ended.
        prior: smoothness.
        solver: of the linear problem, one with a posterior.
        restraint: of the pair potential at short distance.
        max_force: eV/Å; structures with a larger one are kept, and not fitted.
        test_fraction: of the labelled structures that are not fitted and only predicted.
    """

    basis: BasisSpec = field(default_factory=BasisSpec)
    observables: tuple[str, ...] = ()
    e0: dict[str, float] | None = None
    weights: dict[str, Weights] = field(default_factory=dict)
    prior: Prior = field(default_factory=Algebraic)
    solver: Solver = field(default_factory=BLR)
    restraint: Restraint = field(default_factory=Restraint)
    max_force: float = 30.0
    test_fraction: float = 0.0

    def check(self) -> None:
        """Refuse numbers that cannot be."""
        above_zero("max_force", self.max_force, "eV/Å")
        if not 0.0 <= self.test_fraction < 1.0:
            raise InputError(f"test_fraction: expected 0 to below 1, got {self.test_fraction:g}")

    def recipe(
        self, basis: BasisSpec, e0: dict[str, float], observables: tuple[str, ...]
    ) -> Recipe:
        """What is fitted and how.

        Args:
            basis: the basis functions.
            e0: energies of isolated atoms in eV by symbol.
            observables: what the data have.
        """
        return Recipe(
            basis=basis,
            observables=self.observables or observables,
            e0=e0,
            weights=self.weights,
            prior=self.prior,
            solver=self.solver,
            restraint=self.restraint,
        )


@dataclass(frozen=True)
class Growth:
    """How the basis grows with the data.

    Args:
        degrees: of the bases, the smallest first; empty: the basis stays.
        every: labelled structures between two looks.
        by: what decides: the evidence of the data, or errors of structures left out.
    """

    degrees: tuple[float, ...] = ()
    every: int = 10
    by: Literal["evidence", "held out"] = "evidence"

    def __post_init__(self) -> None:
        between("every", self.every, 1, MOST)
        if list(self.degrees) != sorted(set(self.degrees)) or (
            self.degrees and not self.degrees[0] > 0
        ):
            raise InputError(
                f"degrees: expected numbers above 0 that grow, got {list(self.degrees)}"
            )


@dataclass(frozen=True)
class Stop:
    """When a run is at its end.

    Args:
        references: calculations at most, those of the beginning counted.
        quiet: cycles in a row in which no walk was ended by the criterion or a guard; 0: no limit.
        cycles: at most; None: no limit.
    """

    references: int = 100
    quiet: int = 2
    cycles: int | None = None

    def __post_init__(self) -> None:
        between("references", self.references, 1, MOST)
        between("quiet", self.quiet, 0, MOST)
        between("cycles", self.cycles, 0, MOST)


@dataclass(frozen=True)
class Run:
    """How a run goes.

    Args:
        seed: of every random number.
        threads: of evaluations and fits; None: OMP_NUM_THREADS, else all processors.
        label_ends: label also where a walk came to its end without being ended.
    """

    seed: int = 0
    threads: int | None = None
    label_ends: bool = False

    def __post_init__(self) -> None:
        between("seed", self.seed, 0, 2**63 - 1)
        between("threads", self.threads, 1, 1024)


@dataclass(frozen=True)
class Output:
    """How often something is written.

    Args:
        every: steps between rows of the log of each walker.
        checkpoint: seconds between checkpoints.
        models: keep the model of every cycle, not of the last alone.
        database: keep data.db, a data base of ASE, beside data.extxyz.
    """

    every: int = 50
    checkpoint: float = 30.0
    models: bool = True
    database: bool = True

    def __post_init__(self) -> None:
        between("every", self.every, 1, MOST)
        if not 0.0 <= self.checkpoint <= 1e9:
            raise InputError(f"checkpoint: expected 0 to 1e9 s, got {self.checkpoint:g}")


@dataclass(frozen=True)
class HalConfig:
    """Everything that determines a run of hyperactive learning.

    Args:
        start: where walks begin.
        motion: how walkers move.
        reference: what labels structures.
        fit: how models are fitted.
        bias: how strongly walkers are driven to what is unknown.
        criterion: what ends a walk.
        moves: of cells and elements, beside the dynamics.
        guards: what ends a walk whatever the criterion says.
        growth: of the basis.
        stop: when the run ends.
        run: how it goes.
        output: how often something is written.
    """

    start: Start
    motion: Motion
    reference: ReferenceSettings = field(default_factory=FileReference)
    fit: FitSettings = field(default_factory=FitSettings)
    bias: Bias = field(default_factory=Bias)
    criterion: Criterion = field(default_factory=Relative)
    moves: tuple[Move, ...] = ()
    guards: Guards = field(default_factory=Guards)
    growth: Growth = field(default_factory=Growth)
    stop: Stop = field(default_factory=Stop)
    run: Run = field(default_factory=Run)
    output: Output = field(default_factory=Output)


def load_config(path: str | Path) -> HalConfig:
    """Read the TOML file of a run.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    return loaded(HalConfig, path, _renamed)


def dump_config(config: HalConfig, folder: str | Path) -> str:
    """The TOML text that repeats a run, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: HalConfig, name: Callable[[str], str]) -> HalConfig:
    """The same run, its files called otherwise."""
    start = config.start
    if start.file is not None:
        start = replace(start, file=name(start.file))
    fit = replace(config.fit, prior=config.fit.prior.moved(name))
    return replace(config, start=start, reference=config.reference.moved(name), fit=fit)
