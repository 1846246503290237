"""Every number of a fit's TOML file set to what no sane file holds: an error of ours, or a fit.

    python tests/fuzz/settings.py

Anything else is a line of output, and the exit status is 1: another exception, a warning, more than
`PATIENCE` seconds or `MEMORY` bytes. Every case runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from acepot import Structure
from acepot.errors import AceError
from acepot.fitting.config import Data, FitConfig, load_config
from acepot.fitting.folder import fit_to_folder
from acepot.io.structures import extxyz
from acepot.schema import to_mapping, to_toml

#: In seconds and bytes.
PATIENCE, MEMORY = 60, 2**31
VALUES = (
    0, -1, 1, 127, 200, 10**9, 10**18, 0.0, -0.0, 1e-300, 5e-324, 1e-9, 0.5, 1e9, 1e50, 1e300,
    -1e300, float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
#: Settings beside the defaults that are numbers only if they are given.
GIVEN: dict[str, Any] = {
    "basis": {
        "elements": ["Cu"], "order": 2, "degree": 4.0, "max_n": 4, "max_l": 3, "cutoff": 4.0,
        "inner": 0.0, "r0": 2.5,
        "pair": {"degree": 4, "cutoff": 4.0, "inner": 0.0},
    },
    "e0": {"Cu": -1.0},
    "committee": {"size": 2},
    "weights": {"default": {"energy": 30.0}},
}  # fmt: skip


def base() -> dict[str, Any]:
    """The tables of a small fit with every default written out."""
    table: dict[str, Any] = to_mapping(FitConfig(Data("train.xyz")))

    def merge(into: dict[str, Any], more: dict[str, Any]) -> None:
        for key, value in more.items():
            if isinstance(value, dict):
                merge(into.setdefault(key, {}), value)
            else:
                into[key] = value

    merge(table, GIVEN)
    return table


def numbers(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Places of all numbers in nested tables."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from numbers(value, (*path, key))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield (*path, key)


def changed(place: tuple[str, ...], value: object) -> str:
    """The TOML text with one setting changed."""
    table = base()
    inner = table
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "@" if isinstance(value, float) else value
    text = to_toml(table)
    return text.replace('"@"', repr(value)) if isinstance(value, float) else text


def write_data(folder: Path) -> None:
    """Three cells of four atoms with labels."""
    rng = np.random.default_rng(0)
    cell = np.array([[3.7, 0.2, -0.1], [0.1, 3.6, 0.3], [-0.2, 0.1, 3.8]])
    sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]) @ cell
    made = [
        Structure(
            [29] * 4, sites + rng.normal(scale=0.1, size=(4, 3)), cell, True,
            energy=float(rng.normal()), forces=rng.normal(size=(4, 3)),
        )
        for _ in range(3)
    ]  # fmt: skip
    extxyz.write_structures(folder / "train.xyz", made)


def _fit(toml: str, folder: Path, pipe: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    path = folder / f"case.{os.getpid()}.toml"
    path.write_text(toml, encoding="utf-8")
    try:
        out = folder / f"out.{os.getpid()}"
        fit_to_folder(load_config(path), out, say=lambda _line: None, threads=1, plots=False)
        said = "fitted"
    except AceError as error:
        said = f"refused: {error}"
    except BaseException as error:
        said = f"{type(error).__name__}: {str(error)[:200]}"
    pipe.send(said)


def outcome(toml: str, folder: Path, patience: float = PATIENCE) -> str:
    """What comes of a TOML file: "fitted", "refused: …", or what went wrong.

    Args:
        toml: the text.
        folder: holds train.xyz.
        patience: in seconds.
    """
    # Forked from a process without threads, whose locks a fork would inherit.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["acepot.fitting.folder"])
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=_fit, args=(toml, folder, its))
    process.start()
    its.close()
    try:
        said = mine.recv() if mine.poll(patience) else f"more than {patience} s"
    except EOFError:
        said = "crashed"
    process.kill()
    process.join()
    return str(said)


def is_sound(said: str) -> bool:
    """Whether an outcome is what it should be."""
    return said == "fitted" or said.startswith("refused: ")


def main() -> int:
    """All numbers times all values."""
    wrong = count = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder)
        for place in numbers(base()):
            for value in VALUES:
                said = outcome(changed(place, value), folder)
                count += 1
                if not is_sound(said):
                    wrong += 1
                    sys.stdout.write(f"{'.'.join(place)} = {value!r}: {said}\n")
                    sys.stdout.flush()
    sys.stdout.write(f"{count} files, {wrong} with neither a fit nor one of our errors\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
