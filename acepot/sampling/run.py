"""A run of nested sampling in its folder, from its TOML to its picture; it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from acepot.run import log
from acepot.run.about import Change
from acepot.run.checkpoint import CannotGoOnError, Checkpoint
from acepot.run.figure import require_matplotlib
from acepot.run.folder import RunFolder, digest, run_folder
from acepot.sampling.columns import columns
from acepot.sampling.config import NestedConfig, dump_config
from acepot.sampling.energies import EnergyModel
from acepot.sampling.files import UNCERTAIN, culled_name, energies_name, live_name, write_live
from acepot.sampling.guards import require_no_holes
from acepot.sampling.journey import LOG, SPREADS, Journey
from acepot.sampling.mixture import names
from acepot.sampling.page import PAGE
from acepot.sampling.picture import draw
from acepot.sampling.preparation import Prepared, prepare
from acepot.sampling.walk import Task, Walked

__all__ = ["PICTURE", "SETTINGS", "sample"]

SETTINGS, PICTURE = "ns.toml", "ns.png"
#: What may change while a run lasts: where it runs, when it stops, what is merely watched.
_FREE = ("run.threads", "model", "structure.file", "guards.energy_min", "output.checkpoint")
_FREE_TABLES = ("stop.", "committee.energy_", "committee.force_", "committee.beyond")


def sample(
    config: NestedConfig,
    folder: str | Path,
    *,
    say: Callable[[str], None],
    plots: bool = True,
    watch: bool = False,
    dask: str | None = None,
    energies: EnergyModel | None = None,
) -> None:
    """Run nested sampling to its end, from its beginning or its last checkpoint.

    Leaves `ns.toml`, `log.csv`, and for each pressure k `Pk.energies` (pymatnest's format),
    `Pk.culled.extxyz` and `Pk.live`. However the process ends, the same call goes on from the last
    checkpoint to bit-identical files, on the same kind of processor. Ctrl-C and SIGTERM make a
    checkpoint first.

    Args:
        config: of the run.
        folder: of the run.
        say: takes lines for people.
        plots: draw the picture, which needs matplotlib.
        watch: keep a page with the curves so far.
        dask: address of the scheduler whose workers make the walks; None: this process does.
        energies: in place of those of the model file, of which only the name then counts.

    Raises:
        InputError: a wrong configuration, or a folder that belongs to another run.
        ModelFileError: not a model file, or a damaged one.
        MissingDependency: plots without matplotlib, Dask without distributed.
        NotFiniteError: the model gave no number; after a checkpoint.
        HoleError: atoms fall into each other; after a checkpoint.
        SpreadError: the committee's members are further apart than allowed; after a checkpoint.
        ConvergenceError: no step is small enough for a move to be accepted; after a checkpoint.
        OSError: files cannot be written; the last checkpoint is as it was.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    prepared = prepare(config, energies)
    replicas = range(prepared.ensemble.replicas)
    grows = (LOG, SPREADS, UNCERTAIN, *map(energies_name, replicas), *map(culled_name, replicas))
    writes = (PICTURE, PAGE, *map(live_name, replicas))
    with run_folder(folder, SETTINGS, grows, writes=writes, say=say) as home, ExitStack() as stack:
        execute = _elsewhere(dask, prepared, say, stack)
        _guard(prepared, home, say)
        last = _begun(prepared, home, say)
        journey = Journey(prepared, home, last)
        if journey.is_finished:
            say(f"{home.path}: this run of {journey.state.iteration} iterations is finished")
        else:
            _introduce(prepared, journey, say)
            for name in (PICTURE, *map(live_name, replicas)):
                (home.path / name).unlink(missing_ok=True)
            journey.travel(execute, say, watch=watch)
        for k in replicas:
            if not (path := home.path / live_name(k)).exists():
                write_live(path, journey.state.walkers.take(k))
        if plots and not (home.path / PICTURE).exists():
            _draw(prepared, home.path)


def _guard(prepared: Prepared, home: RunFolder, say: Callable[[str], None]) -> None:
    """Refuse a new run of a model with holes."""
    config = prepared.config
    if prepared.potential is None or home.has_checkpoint or config.guards.holes == "allow":
        return
    say(f"{config.model}: looks for holes")
    require_no_holes(prepared.potential, config.model)


def _begun(prepared: Prepared, home: RunFolder, say: Callable[[str], None]) -> Checkpoint | None:
    """The checkpoint to go on from, if any, in a folder that is ready."""
    config = prepared.config

    def may_change(change: Change, last: Checkpoint | None) -> bool:
        most = config.stop.iterations
        if change.key == "stop.iterations" and last and most is not None and most < last.step:
            raise CannotGoOnError(
                f"{home.path}: stop.iterations: this run is at iteration {last.step}; expected "
                f"{last.step} or more, got {most}",
                "choose another folder with --out for a shorter run",
            )
        return change.key in _FREE or change.key.startswith(_FREE_TABLES)

    contents = {"model": prepared.source.digest}
    if config.structure.file is not None:
        contents["structure"] = digest(config.structure.file)
    toml = dump_config(config, home.path.resolve())
    about = {"kind": "nested sampling"}
    last = home.begin(toml, about, contents, may_change=may_change)
    if last is not None and home.changes:
        say(f"{home.path}: goes on though {'; '.join(map(str, home.changes))}")
    return last


def _introduce(prepared: Prepared, journey: Journey, say: Callable[[str], None]) -> None:
    """Say what is about to be done."""
    config, ensemble = prepared.config, prepared.ensemble
    pressures = ", ".join(f"{one:g}" for one in config.ensemble.pressures)
    begin = journey.state.iteration
    start = f", from iteration {begin}" if begin else ""
    stop = config.stop
    ends = [f"{stop.temperature:g} K"] if stop.temperature is not None else []
    ends += [f"iteration {stop.iterations}"] if stop.iterations is not None else []
    say(
        f"{ensemble.atoms} atoms, {pressures} GPa, {config.run.walkers} walkers each, to "
        f"{' or '.join(ends)}{start}"
    )
    distances = config.guards.min_distance
    if isinstance(distances, dict) and distances:
        pairs = ", ".join(f"{pair} {one:g} Å" for pair, one in distances.items())
        say(f"atoms no closer than {pairs} ({prepared.guarded})")


def _elsewhere(
    address: str | None, prepared: Prepared, say: Callable[[str], None], stack: ExitStack
) -> Callable[[Task], Walked] | None:
    """What makes walks on Dask's workers; None: this process does."""
    if address is None:
        return None
    from acepot.sampling.dask import walks

    return stack.enter_context(walks(address, prepared, say))


def _draw(prepared: Prepared, folder: Path) -> None:
    """The picture of what is in the log."""
    config, ensemble = prepared.config, prepared.ensemble
    wanted = columns(ensemble.replicas, names(prepared.settings.moves))
    table = log.read(folder / LOG, wanted)
    if len(table["iteration"]):
        draw(table, config.ensemble.pressures, ensemble.atoms, folder / PICTURE)
