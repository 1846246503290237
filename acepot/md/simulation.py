"""A simulation from its TOML to its picture, in any engine; it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from acepot.errors import InputError
from acepot.md import log
from acepot.md.config import MDConfig, dump_config
from acepot.md.engine import EngineKind, Phase, Task
from acepot.md.picture import draw
from acepot.md.start import Atoms, prepare
from acepot.run.checkpoint import Checkpoint
from acepot.run.figure import require_matplotlib
from acepot.run.folder import RunFolder, digest, run_folder
from acepot.run.log import Log
from acepot.run.progress import Progress
from acepot.run.signals import stop_request

__all__ = ["LOG", "PICTURE", "SETTINGS", "simulate"]

SETTINGS, LOG, PICTURE = "md.toml", "log.csv", "md.png"
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
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    if plots:
        require_matplotlib()
    with run_folder(folder, SETTINGS, (LOG, kind.trajectory)) as home:
        atoms = prepare(config)
        _check(config, kind, atoms)
        inputs = {"model": config.model, "structure": config.structure.file}
        contents = {name: digest(file) for name, file in inputs.items()}
        toml = dump_config(config, home.path.resolve())
        last = home.begin(toml, {"engine": kind.name}, contents)
        count, steps = len(atoms.numbers), config.run.steps
        picture = home.path / PICTURE
        if last is not None and last.step == steps:
            say(f"{home.path}: this run of {steps} steps is finished")
        else:
            start = "" if last is None else f", from step {last.step}"
            say(f"{kind.name}: {count} atoms, {config.ensemble.kind}, {steps} steps{start}")
            picture.unlink(missing_ok=True)
            _Simulation(config, home, kind, atoms, last).run(say)
        if plots and not picture.exists():
            draw(log.read(home.path / LOG), count, config.ensemble, picture)


def _check(config: MDConfig, kind: EngineKind, atoms: Atoms) -> None:
    """Refuse what an engine cannot do."""
    if config.ramp and not kind.ramps:
        raise InputError(f"ramp: the engine {kind.name} has none")
    if any(atoms.pbc) and not atoms.periodic and not kind.slabs:
        raise InputError(
            f"{config.structure.file}: expected a structure that is periodic along all three "
            f"directions or none, for the engine {kind.name} has no slabs and wires, got "
            f"{sum(atoms.pbc)} periodic directions; add vacuum and make it periodic"
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
        self._engine = kind.open(self._task(atoms.start), state)
        self._log = Log(home.path / LOG, log.columns(config))

    def run(self, say: Callable[[str], None]) -> None:
        """Go to the end."""
        steps, every = self._config.run.steps, self._config.output.every
        progress = Progress(f"md {self._kind.name}", steps - self._step)
        begin = self._step
        try:
            if self._last is None:
                self._write()
                self._checkpoint()
            with stop_request() as stopped:
                while self._step < steps:
                    self._engine.advance(every)
                    self._step += every
                    if self._step == 0:
                        self._enter_run()
                    self._write()
                    progress.update(self._step - begin)
                    stop = stopped.is_set()  # once: it may change between two looks
                    if self._is_due() or stop:
                        self._checkpoint()
                    if stop and self._step < steps:
                        say(f"stopped at step {self._step}; the same command goes on from there")
                        raise KeyboardInterrupt
        finally:
            self._engine.close()
            self._log.close()

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
            pbc=atoms.pbc,
        )

    def _enter_run(self) -> None:
        """The equilibration is over: step 0 of the run, in an engine of its own."""
        phase = self._engine.phase()
        self._engine.close()
        self._stage = _RUN
        self._engine = self._kind.open(self._task(phase), None)

    def _write(self) -> None:
        sample = self._engine.sample()
        row = log.row(self._step, self._config.run.timestep, len(self._atoms.numbers), sample)
        self._log.write((*row, *log.targets(self._config, self._step)))
        if self._stage == _RUN:
            self._engine.write_frame()

    def _is_due(self) -> bool:
        run, output = self._config.run, self._config.output
        done = self._step + run.equilibration
        return done % output.checkpoint == 0 or self._step in (0, run.steps)

    def _checkpoint(self) -> None:
        self._engine.save(self._home.new_state(self._last))
        self._last = self._home.record(self._step, self._last)
