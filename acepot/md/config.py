"""What a simulation needs to know, as frozen data: the one TOML file of `acepot md`.

The same file runs in every engine. `dump_config` writes every value out, so that the file kept
in a run's folder says all about it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from acepot.errors import InputError
from acepot.evaluate.precision import Precision
from acepot.schema import LATER, from_toml, to_mapping, to_toml

__all__ = [
    "Committee", "Ensemble", "Lammps", "MDConfig", "Output", "Ramp", "Run", "Start", "dump_config",
    "load_config",
]  # fmt: skip

#: The largest number of steps; engines count in 32 bits.
_MOST_STEPS = 2_000_000_000
#: Unless told, a committee is evaluated no more often than every so many steps: it costs a few.
_SPARSE = 50


def _above_zero(name: str, value: float, unit: str) -> None:
    if not 0.0 < value <= 1e9:
        raise InputError(f"{name}: expected more than 0 {unit}, up to 1e9, got {value:g}")


def _between(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InputError(f"{name}: expected {least} to {most}, got {value}")


@dataclass(frozen=True)
class Start:
    """The atoms at the beginning: of a file, or where another run is.

    Args:
        file: any file of structures that acepot reads, relative to the folder of the TOML file.
        frame: index of the structure in it; negative ones count from the end.
        repeat: how often it is repeated along a, b and c.
        run: folder of a run of any engine, relative to that of the TOML file, instead of a file:
            positions, velocities and cell are those of its last checkpoint.
        masses: in amu by element, where they are not the standard ones: beads, isotopes.
        charge: total charge in e, for models with charges.
    """

    file: str | None = None
    frame: int = 0
    repeat: tuple[int, int, int] = (1, 1, 1)
    run: str | None = None
    masses: dict[str, float] = field(default_factory=dict, metadata=LATER)
    charge: float = field(default=0.0, metadata=LATER)

    def __post_init__(self) -> None:
        for name, mass in self.masses.items():
            _above_zero(f"masses.{name}", mass, "amu")
        for index, count in enumerate(self.repeat):
            _between(f"repeat[{index}]", count, 1, 1000)
        if self.run is None and self.file is None:
            raise InputError(
                "file: expected a file of structures, or instead of it run, the folder of a run "
                "to start from, got neither"
            )
        if self.run is not None:
            for name, value, default in (
                ("file", self.file, None),
                ("frame", self.frame, 0),
                ("repeat", list(self.repeat), [1, 1, 1]),
            ):
                if value != default:
                    raise InputError(f"{name}: expected none beside structure.run, got {value!r}")


@dataclass(frozen=True)
class Ensemble:
    """What is kept constant, and how.

    Args:
        kind: nvt: Langevin dynamics at constant volume; npt: also at constant pressure; nve:
            constant energy.
        temperature: K. In nve: of the velocities at the start and of the equilibration.
        pressure: GPa (npt).
        friction: of the Langevin thermostat, 1/ps (nvt, npt, equilibration).
        barostat_time: time constant of the barostat, ps (npt; OpenMM's has none).
        cell: what the barostat changes (npt). isotropic: the volume; anisotropic: the three lengths
            of a rectangular cell; full: lengths and angles.
        friction_model: a model of friction in place of `friction` (nvt), relative to the folder of
            the TOML file.
        friction_step: how it is integrated: exact, by singular values; cayley, by conjugate
            gradients; sweep, bond by bond; auto: what serves for the size and the time step.
    """

    temperature: float
    kind: Literal["nvt", "npt", "nve"] = "nvt"
    pressure: float = 0.0
    friction: float = 10.0
    barostat_time: float = 1.0
    cell: Literal["isotropic", "anisotropic", "full"] = field(default="isotropic", metadata=LATER)
    friction_model: str | None = None
    friction_step: Literal["auto", "exact", "cayley", "sweep"] = field(
        default="auto", metadata=LATER
    )

    def __post_init__(self) -> None:
        _above_zero("temperature", self.temperature, "K")
        _above_zero("friction", self.friction, "1/ps")
        _above_zero("barostat_time", self.barostat_time, "ps")
        if not abs(self.pressure) <= 1e6:
            raise InputError(f"pressure: expected -1e6 to 1e6 GPa, got {self.pressure:g}")
        if self.cell != "isotropic" and self.kind != "npt":
            raise InputError(f"cell: {self.cell!r} is for kind = 'npt', got kind = {self.kind!r}")
        if self.friction_model is not None and self.kind != "nvt":
            raise InputError(f"friction_model: expected kind = 'nvt', got kind = {self.kind!r}")
        if self.friction_step != "auto" and self.friction_model is None:
            raise InputError(
                f"friction_step: expected a friction_model beside it, got {self.friction_step!r}"
            )


@dataclass(frozen=True)
class Run:
    """How long, and from which velocities.

    Args:
        steps: of the run, after the equilibration.
        timestep: fs.
        equilibration: steps before step 0: the same ensemble, or nvt before nve. They are in the
            log under negative numbers, and not in the trajectory.
        initial_temperature: K, of the Maxwell-Boltzmann velocities at the start; 0: at rest;
            keep: the velocities of the structure; None: keep where the run starts from another
            one, else the temperature of the ensemble.
        seed: of every random number.
        threads: of the evaluator (in LAMMPS: of each rank). Results are the same for the same
            number of threads.
        precision: of the evaluator: double; mixed, neighbours in single precision and the rest in
            double; or single. What the other two cost the model is said at the start.
    """

    steps: int
    timestep: float = 1.0
    equilibration: int = 0
    initial_temperature: float | Literal["keep"] | None = None
    seed: int = 0
    threads: int = 1
    precision: Precision = field(default="double", metadata=LATER)

    def __post_init__(self) -> None:
        _between("steps", self.steps, 1, _MOST_STEPS)
        _between("equilibration", self.equilibration, 0, _MOST_STEPS)
        _between("seed", self.seed, 0, 2**53)
        _between("threads", self.threads, 1, 1024)
        _above_zero("timestep", self.timestep, "fs")
        start = self.initial_temperature
        if isinstance(start, (int, float)) and not 0.0 <= start <= 1e9:
            raise InputError(f"initial_temperature: expected 0 to 1e9 K, got {start:g}")


@dataclass(frozen=True)
class Ramp:
    """Temperature or pressure that change linearly from step 0 on, then stay.

    Args:
        temperature: K, at the end; None: it does not change (nvt, npt).
        pressure: GPa, at the end; None: it does not change (npt).
        steps: from step 0 to the end of the ramp; None: run.steps.
    """

    temperature: float | None = None
    pressure: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.temperature is not None:
            _above_zero("temperature", self.temperature, "K")
        if self.pressure is not None and not abs(self.pressure) <= 1e6:
            raise InputError(f"pressure: expected -1e6 to 1e6 GPa, got {self.pressure:g}")
        if self.steps is not None:
            _between("steps", self.steps, 1, _MOST_STEPS)
            if not self:
                raise InputError("steps: expected a temperature or a pressure beside it")

    def __bool__(self) -> bool:
        return self.temperature is not None or self.pressure is not None


@dataclass(frozen=True)
class Output:
    """How often something is written.

    Args:
        every: steps between rows of the log, and between frames of the trajectory.
        checkpoint: steps between checkpoints, a multiple of `every`.
    """

    every: int = 100
    checkpoint: int = 5000

    def __post_init__(self) -> None:
        _between("every", self.every, 1, _MOST_STEPS)
        _between("checkpoint", self.checkpoint, 1, _MOST_STEPS)
        if self.checkpoint % self.every:
            raise InputError(
                f"checkpoint: expected a multiple of every ({self.every}), got {self.checkpoint}"
            )


@dataclass(frozen=True)
class Lammps:
    """What only LAMMPS looks at.

    Args:
        ranks: processes, started by mpirun where there are several.
    """

    ranks: int = 1

    def __post_init__(self) -> None:
        _between("ranks", self.ranks, 1, 1024)


@dataclass(frozen=True)
class Committee:
    """How far the members of the model's committee may be apart, if it has one.

    Args:
        every: steps between evaluations of the members, a multiple of output.every; 0: never;
            None: the least one that is not below 50.
        energy_threshold: a larger spread of the energy, in eV/atom, stops the run.
        force_threshold: a larger spread of the force on any atom, in eV/Å, stops the run.
    """

    every: int | None = None
    energy_threshold: float | None = None
    force_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.every is not None:
            _between("every", self.every, 0, _MOST_STEPS)
        for name, unit in (("energy_threshold", "eV/atom"), ("force_threshold", "eV/Å")):
            if (value := getattr(self, name)) is not None:
                _above_zero(name, value, unit)
                if self.every == 0:
                    raise InputError(f"{name}: expected none where every is 0, got {value:g}")


@dataclass(frozen=True)
class MDConfig:
    """Everything that determines a simulation, but for the engine.

    Args:
        model: a model file of any format that acepot reads, relative to the folder of the TOML
            file.
        structure: the atoms at the beginning.
        ensemble: what is kept constant.
        run: how long, and from which velocities.
        output: how often something is written.
        lammps: what only LAMMPS looks at.
        committee: how far its members may be apart.
        ramp: how temperature and pressure change.
    """

    model: str
    structure: Start
    ensemble: Ensemble
    run: Run
    output: Output = field(default_factory=Output)
    lammps: Lammps = field(default_factory=Lammps)
    committee: Committee = field(default_factory=Committee, metadata=LATER)
    ramp: Ramp = field(default_factory=Ramp, metadata=LATER)

    def __post_init__(self) -> None:
        self._check_ramp()
        for name in ("steps", "equilibration"):
            if (count := getattr(self.run, name)) % self.output.every:
                raise InputError(
                    f"run.{name}: expected a multiple of output.every ({self.output.every}), "
                    f"got {count}"
                )
        if (self.committee.every or 0) % self.output.every:
            raise InputError(
                f"committee.every: expected a multiple of output.every ({self.output.every}), got "
                f"{self.committee.every}"
            )
        if self.keeps_velocities and self.structure.repeat != (1, 1, 1):
            raise InputError(
                'structure.repeat: expected [1, 1, 1] with run.initial_temperature = "keep", for '
                f"copies would all move alike, got {list(self.structure.repeat)}"
            )

    @property
    def committee_every(self) -> int:
        """Steps between evaluations of the committee; 0: never."""
        every = self.output.every
        return (
            -(-_SPARSE // every) * every if self.committee.every is None else self.committee.every
        )

    @property
    def keeps_velocities(self) -> bool:
        """Whether the velocities at the start are those of the structure."""
        kelvin = self.run.initial_temperature
        return kelvin == "keep" or (kelvin is None and self.structure.run is not None)

    def targets(self, step: int) -> tuple[float, float]:
        """Temperature in K and pressure in GPa at a step of the run; negative: equilibration."""
        part = min(max(step, 0) / (self.ramp.steps or self.run.steps), 1.0)
        ensemble, ramp = self.ensemble, self.ramp

        def between(begin: float, end: float | None) -> float:
            return begin if end is None else begin + part * (end - begin)

        return (
            between(ensemble.temperature, ramp.temperature),
            between(ensemble.pressure, ramp.pressure),
        )

    def _check_ramp(self) -> None:
        kind = self.ensemble.kind
        if self.ramp and kind == "nve":
            raise InputError("ramp: expected ensemble.kind nvt or npt, got 'nve'")
        if self.ramp.pressure is not None and kind != "npt":
            raise InputError(f"ramp.pressure: expected ensemble.kind npt, got {kind!r}")
        if (steps := self.ramp.steps) is not None and steps % self.output.every:
            raise InputError(
                f"ramp.steps: expected a multiple of output.every ({self.output.every}), "
                f"got {steps}"
            )


def load_config(path: str | Path) -> MDConfig:
    """Read the TOML file of a simulation.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value;
            the message names the file and the line or key.
    """
    path = Path(path)
    config = from_toml(MDConfig, path)
    return replace(
        config,
        model=str(path.parent / config.model),
        structure=_renamed(config.structure, lambda name: str(path.parent / name)),
        ensemble=_with_friction(config.ensemble, lambda name: str(path.parent / name)),
    )


def dump_config(config: MDConfig, folder: str | Path) -> str:
    """The TOML text that repeats a simulation, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """

    def relative(name: str) -> str:
        return Path(os.path.relpath(name, folder)).as_posix()

    start = config.run.initial_temperature
    if start is None:
        start = "keep" if config.keeps_velocities else config.ensemble.temperature
    resolved = replace(
        config,
        model=relative(config.model),
        structure=_renamed(config.structure, relative),
        ensemble=_with_friction(config.ensemble, relative),
        run=replace(config.run, initial_temperature=start),
    )
    if config.ramp:  # a run that is made longer keeps its ramp
        steps = config.ramp.steps or config.run.steps
        resolved = replace(resolved, ramp=replace(config.ramp, steps=steps))
    return to_toml(to_mapping(resolved))


def _with_friction(ensemble: Ensemble, name: Callable[[str], str]) -> Ensemble:
    """The same ensemble, its model of friction, if any, called otherwise."""
    if ensemble.friction_model is None:
        return ensemble
    return replace(ensemble, friction_model=name(ensemble.friction_model))


def _renamed(start: Start, name: Callable[[str], str]) -> Start:
    """The same atoms, their file or run called otherwise."""
    if start.run is not None:
        return replace(start, run=name(start.run))
    return replace(start, file=name(start.file or ""))
