"""A run of hyperactive learning in its folder; it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from acepot.hal.config import HalConfig, dump_config
from acepot.hal.journey import GROWS, Journey
from acepot.hal.published import MODEL, WRITES
from acepot.hal.reference.opening import opened
from acepot.hal.reference.pool import Reference
from acepot.run.about import Change
from acepot.run.checkpoint import Checkpoint
from acepot.run.folder import RunFolder, digest, run_folder

__all__ = ["SETTINGS", "learn"]

SETTINGS = "hal.toml"
#: What may change while a run lasts: when it stops, who labels, what is merely written.
_FREE = (
    "run.threads", "start.file", "reference.timeout", "reference.retries", "reference.processes",
    "reference.address", "reference.energy_limit",
)  # fmt: skip
_FREE_TABLES = ("stop.", "output.", "reference.files.")


def learn(
    config: HalConfig,
    folder: str | Path,
    *,
    say: Callable[[str], None],
    reference: Reference | None = None,
) -> Journey:
    """Run hyperactive learning to its end, from its beginning or its last checkpoint.

    Leaves `hal.toml`, the model as it is with its posterior and report, those of every cycle in
    `models`, the data base `data.extxyz` (and `data.db`), `failed.extxyz`, the logs `walks.csv` and
    `labelled.csv`, and the page `hal.html`. However the process ends, the same call goes on from
    the last checkpoint; where the reference is deterministic, to the same data base. Ctrl-C and
    SIGTERM make a checkpoint first.

    Args:
        config: of the run.
        folder: of the run.
        say: takes lines for people.
        reference: labels structures, in place of what the settings say.

    Returns:
        The journey, at its end.

    Raises:
        InputError: a wrong configuration, or a folder that belongs to another run.
        MissingDependency: ASE or distributed are not there.
        WaitingError: labels that somebody else makes are not there yet.
        ReferenceError: no calculation of a cycle gave labels.
        OSError: files cannot be written; the last checkpoint is as it was.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    with run_folder(folder, SETTINGS, GROWS, writes=WRITES, say=say) as home:
        last = _begun(config, home, say)
        used = reference or opened(config.reference, home.path.resolve(), say)
        with closing(used):
            journey = Journey(config, home, last, used, say)
            if journey.state.finished and (again := journey.goes_on()):
                say(f"{home.path}: {again}")
            journey.travel()
    say(f"{journey.state.finished}; the model is {home.path / MODEL}")
    return journey


def _begun(config: HalConfig, home: RunFolder, say: Callable[[str], None]) -> Checkpoint | None:
    """The checkpoint to go on from, if any, in a folder that is ready."""

    def may_change(change: Change, last: Checkpoint | None) -> bool:
        return change.key in _FREE or change.key.startswith(_FREE_TABLES)

    contents = {}
    if config.start.file is not None:
        contents["start"] = digest(config.start.file)
    toml = dump_config(config, home.path.resolve())
    last = home.begin(toml, {"kind": "hyperactive learning"}, contents, may_change=may_change)
    if last is not None and home.changes:
        say(f"{home.path}: goes on though {'; '.join(map(str, home.changes))}")
    return last
