"""A simulation from its TOML to its picture, in any engine; it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import InputError
from acepot.io.files import naming, replaced
from acepot.io.registry import load
from acepot.md import log, snapshot
from acepot.md.committee import Spread, watch
from acepot.md.config import MDConfig, dump_config
from acepot.md.engine import Atoms, EngineKind, Phase, Task
from acepot.md.engines import names
from acepot.md.picture import draw
from acepot.md.start import prepare, source
from acepot.model import ChargeModel, HamiltonianModel, Model
from acepot.potential import Potential
from acepot.run.about import Change
from acepot.run.checkpoint import CannotGoOnError, Checkpoint
from acepot.run.figure import require_matplotlib
from acepot.run.folder import RunFolder, digest, run_folder
from acepot.run.log import Log
from acepot.run.progress import Progress
from acepot.run.signals import stop_request

__all__ = ["LOG", "PICTURE", "SETTINGS", "simulate"]

SETTINGS, LOG, PICTURE = "md.toml", "log.csv", "md.png"
#: A copy of the other run's last state, where a run starts from one: it may go on, or go.
_START = "start.extxyz"
#: What may change while a run lasts: where it runs, the names of files whose contents stay, and
#: when it stops.
_FREE = (
    "run.threads", "lammps.ranks", "model", "structure.file", "structure.run",
    "committee.energy_threshold", "committee.force_threshold", "ensemble.friction_model",
)  # fmt: skip
_EQUILIBRATION, _RUN = 0, 1


def simulate(
    config: MDConfig,
    folder: str | Path,
    kind: EngineKind,
    *,
    say: Callable[[str], None],
    plots: bool = True,
) -> None:
    """Run a simulation to its end, from its beginning or its last checkpoint.

    Leaves `md.toml`, `log.csv`, the trajectory and, with plots, `md.png` in the folder. However
    the process ends, the same call goes on from the last checkpoint: rows and frames after it
    are written again, none twice and none left out. Ctrl-C and SIGTERM make a checkpoint first.

    Args:
        config: of the simulation.
        folder: of the run.
        kind: the engine that runs it.
        say: takes lines for people.
        plots: draw the picture, which needs matplotlib.

    Raises:
        InputError: a wrong configuration or structure, or a folder that belongs to another run.
        ModelFileError: not a model file, or a damaged one.
        MissingDependency: plots without matplotlib, or a structure that needs ASE.
        SpreadError: the committee's members are further apart than allowed; after a checkpoint.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    others = (snapshot.LAST, _START, PICTURE)
    grows = (LOG, kind.trajectory)
    with run_folder(folder, SETTINGS, grows, writes=others, say=say) as home:
        copied = config.structure.run is not None and home.has_checkpoint
        structure = home.path / _START if copied else source(config)
        atoms = prepare(config, structure)
        _check(config, kind, atoms, structure)
        held = len(atoms.numbers) - atoms.free
        last = _begun(config, home, kind, structure, say)
        count, steps = len(atoms.numbers), config.run.steps
        picture = home.path / PICTURE
        if last is not None and last.step == steps:
            say(f"{home.path}: this run of {steps} steps is finished")
        else:
            start = "" if last is None else f", from step {last.step}"
            fixed = f" ({held} of them fixed)" if held else ""
            say(f"{kind.name}: {count} atoms{fixed}, {config.ensemble.kind}, {steps} steps{start}")
            _say_precision(config, say)
            picture.unlink(missing_ok=True)
            begin = -config.run.equilibration if last is None else last.step
            progress = Progress(f"md {kind.name}", steps - begin)
            with progress.alive():
                _Simulation(config, home, kind, atoms, last).run(progress, say)
        if plots and not picture.exists():
            draw(log.read(home.path / LOG), count, config.ensemble, picture)


def _say_precision(config: MDConfig, say: Callable[[str], None]) -> None:
    """What less than double precision costs this model."""
    if (precision := config.run.precision) != "double":
        potential = Potential(load(config.model, _ENERGIES), threads=1, precision=precision)
        say(str(potential.precision_loss))


def _begun(
    config: MDConfig, home: RunFolder, kind: EngineKind, structure: Path, say: Callable[[str], None]
) -> Checkpoint | None:
    """The checkpoint to go on from, if any, in a folder that is ready."""

    def may_change(change: Change, last: Checkpoint | None) -> bool:
        if change.key == "run.steps" and last is not None and config.run.steps < last.step:
            raise CannotGoOnError(
                f"{home.path}: run.steps: this run is at step {last.step}; expected {last.step} or "
                f"more, got {config.run.steps}",
                "choose another folder with --out for a shorter run",
            )
        return change.key == "run.steps" or change.key in _FREE

    contents = {"model": digest(config.model), "structure": digest(structure)}
    if config.ensemble.friction_model is not None:
        contents["friction"] = digest(config.ensemble.friction_model)
    toml = dump_config(config, home.path.resolve())
    last = home.begin(toml, {"engine": kind.name}, contents, may_change=may_change)
    if last is None and config.structure.run is not None:
        with replaced(home.path / _START, "wb") as file:
            file.write(structure.read_bytes())
        say(f"starts where {config.structure.run} is: step {snapshot.step_of(structure)}")
    others = {name for name in names() if name != kind.name}
    seen = [change for change in home.changes if change.key.partition(".")[0] not in others]
    if last is not None and seen:
        say(f"{home.path}: goes on though {'; '.join(map(str, seen))}")
    return last


def _check(config: MDConfig, kind: EngineKind, atoms: Atoms, structure: Path) -> None:
    """Refuse what an engine cannot do."""
    charge = config.structure.charge
    if charge and not isinstance(load(config.model, _RUNS), ChargeModel):
        raise InputError(f"structure.charge: {config.model} has no charges, got {charge:g}")
    if config.ramp and not kind.ramps:
        raise InputError(f"ramp: the engine {kind.name} has none")
    if config.ensemble.friction_model is not None and not kind.friction:
        raise InputError(f"ensemble.friction_model: the engine {kind.name} cannot use one")
    if any(atoms.pbc) and not atoms.periodic and not kind.slabs:
        raise InputError(
            f"{structure}: expected a structure that is periodic along all three "
            f"directions or none, for the engine {kind.name} has no slabs and wires, got "
            f"{sum(atoms.pbc)} periodic directions; add vacuum and make it periodic"
        )
    if (held := len(atoms.numbers) - atoms.free) and not kind.holds_atoms:
        raise InputError(
            f"{structure}: {held} atoms are fixed, which the engine {kind.name} cannot do"
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the name of a file into errors of an engine that writes it."""
    try:
        with naming(path):
            yield
    except InputError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error


#: Models that have a precision, and all that run.
_ENERGIES: Any = Model | ChargeModel
_RUNS: Any = _ENERGIES | HamiltonianModel
#: What is said of atoms that got where no dynamics of sense leads, and what then helps.
_FLOWN = ("finite", "apart", "same point", "no matter")
_FLYING = (
    ". Atoms that fly apart or together: is run.timestep too long, the start far from relaxed, or "
    "the model beyond its data (acepot check MODEL --holes)?"
)


class _Simulation:
    """A run in progress."""

    def __init__(
        self,
        config: MDConfig,
        home: RunFolder,
        kind: EngineKind,
        atoms: Atoms,
        last: Checkpoint | None,
    ) -> None:
        self._config, self._home, self._kind, self._atoms = config, home, kind, atoms
        self._last = last
        self._step = -config.run.equilibration if last is None else last.step
        self._stage = _EQUILIBRATION if self._step < 0 else _RUN
        state = None if last is None else home.path / last.state
        self._watch = watch(config, atoms)
        self._engine = kind.open(self._task(atoms.start), state)
        path = home.path / LOG
        self._columns = log.columns(config, path, spread=self._watch is not None)
        self._log = Log(path, self._columns)

    def run(self, progress: Progress, say: Callable[[str], None]) -> None:
        """Go to the end."""
        steps, every = self._config.run.steps, self._config.output.every
        begin = self._step
        try:
            if self._last is None:
                reason = self._write()
                self._checkpoint()
            else:
                reason = self._look()[1]
            self._go_on_unless(reason)
            with stop_request() as stopped:
                while self._step < steps:
                    self._advance(every)
                    self._step += every
                    if self._step == 0:
                        self._enter_run()
                    reason = self._write()
                    progress.update(self._step - begin)
                    stop = stopped.is_set()  # once: it may change between two looks
                    if self._is_due() or stop or reason:
                        self._checkpoint()
                    self._go_on_unless(reason)
                    if stop and self._step < steps:
                        say(f"stopped at step {self._step}; the same command goes on from there")
                        raise KeyboardInterrupt
        finally:
            with naming(self._home.path / self._kind.trajectory):
                self._engine.close()
            self._log.close()

    def _advance(self, steps: int) -> None:
        with self._saying_when():
            self._engine.advance(steps)

    @contextmanager
    def _saying_when(self) -> Iterator[None]:
        """Name the run and the step in what an engine refuses to evaluate."""
        try:
            yield
        except InputError as error:
            text = f"{self._home.path}: after step {self._step}: {error}"
            if any(word in text for word in _FLOWN):
                text += _FLYING
            raise InputError(text) from error

    def _task(self, start: Phase) -> Task:
        ensemble = self._config.ensemble
        if self._stage == _EQUILIBRATION and ensemble.kind == "nve":
            ensemble = replace(ensemble, kind="nvt")
        atoms = self._atoms
        return Task(
            self._config,
            ensemble,
            atoms.numbers,
            atoms.masses,
            atoms.periodic,
            start,
            self._stage,
            self._home.path,
            fixed=atoms.fixed,
            pbc=atoms.pbc,
        )

    def _enter_run(self) -> None:
        """The equilibration is over: step 0 of the run, in an engine of its own."""
        phase = self._engine.phase()
        self._engine.close()
        self._stage = _RUN
        self._engine = self._kind.open(self._task(phase), None)

    def _write(self) -> str:
        """A row and a frame; why the run must stop here, if it must."""
        with self._saying_when():
            sample = self._engine.sample()
        row = log.row(self._step, self._config.run.timestep, self._atoms.free, sample)
        spread, reason = self._look()
        more = (np.nan, np.nan) if spread is None else (spread.energy, spread.force)
        row = (*row, *log.targets(self._config, self._step), *more)
        self._log.write(row[: len(self._columns)])
        if self._stage == _RUN:
            with _naming(self._home.path / self._kind.trajectory):
                self._engine.write_frame()
        return reason

    def _look(self) -> tuple[Spread | None, str]:
        """The spread of the committee, if this step is one of those, and whether it is too much."""
        if self._watch is None or not self._watch.is_due(self._step):
            return None, ""
        spread = self._watch.spread(self._engine.phase())
        return spread, self._watch.too_far(spread)

    def _go_on_unless(self, reason: str) -> None:
        if reason and self._watch is not None:
            raise self._watch.stop(self._step, self._engine.phase(), reason, self._home.path)

    def _is_due(self) -> bool:
        run, output = self._config.run, self._config.output
        done = self._step + run.equilibration
        return done % output.checkpoint == 0 or self._step in (0, run.steps)

    def _checkpoint(self) -> None:
        state = self._home.new_state(self._last)
        with _naming(state):
            self._engine.save(state)
        path = self._home.path / snapshot.LAST
        snapshot.write(path, self._atoms, self._engine.phase(), self._step)
        self._last = self._home.record(self._step, self._last)
