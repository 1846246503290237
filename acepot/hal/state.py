"""Everything that a run goes on from, as plain arrays and text."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.hal.database import Origin
from acepot.hal.learner import Lessons
from acepot.hal.reference.job import Labelled
from acepot.hal.walker import Walker
from acepot.structure import Structure

__all__ = ["Job", "State", "read_state", "write_state"]

Arrays = dict[str, NDArray[Any]]


@dataclass(eq=False)
class Job:
    """A reference calculation.

    Args:
        number: of it in the run.
        structure: to be labelled.
        origin: how the structure came about.
        found: what came of it; None: it goes on, or has not begun.
        future: of the calculation, in this process.
    """

    number: int
    structure: Structure
    origin: Origin
    found: Labelled | None = None
    future: Future[Labelled] | None = None

    def arrays(self) -> Arrays:
        """Everything but the future."""
        about: dict[str, Any] = {"number": self.number, "origin": asdict(self.origin)}
        s, arrays = self.structure, dict[str, NDArray[Any]]()
        arrays |= {"numbers": s.numbers, "positions": s.positions, "cell": s.cell, "pbc": s.pbc}
        if self.found is not None:
            about["error"] = self.found.error
            labels = self.found.structure
            for name in ("energy", "forces", "virial"):
                if (value := getattr(labels, name)) is not None:
                    arrays[name] = np.asarray(value)
        return {"about": np.array(json.dumps(about)), **arrays}

    @classmethod
    def restored(cls, arrays: Arrays) -> Job:
        """The job that `arrays` described."""
        about = json.loads(arrays["about"].item())
        bare = Structure(arrays["numbers"], arrays["positions"], arrays["cell"], arrays["pbc"])
        job = cls(about["number"], bare, Origin(**about["origin"]))
        if "error" in about:
            labels = {k: arrays[k] for k in ("energy", "forces", "virial") if k in arrays}
            job.found = Labelled(bare.labelled(**labels), about["error"])
        return job


@dataclass(eq=False)
class State:
    """Where a run is.

    Args:
        cycle: 0: labels of the beginning are made.
        begun: jobs so far, of which each has its number.
        next_start: of the structures from which walks begin, whose turn it is.
        quiet: cycles in a row in which nothing ended a walk.
        finished: why there is nothing left to do; empty: there is.
        e0: energies of isolated atoms in eV by symbol.
        lessons: what was fitted when.
        walkers: of this cycle.
        jobs: of this cycle.
    """

    cycle: int = 0
    begun: int = 0
    next_start: int = 0
    quiet: int = 0
    finished: str = ""
    e0: dict[str, float] = field(default_factory=dict)
    lessons: Lessons = field(default_factory=Lessons)
    walkers: list[Walker] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)


_PLAIN = ("cycle", "begun", "next_start", "quiet", "finished", "e0")


def write_state(path: Path, state: State) -> None:
    """Write a state; numpy's own format, without pickles.

    Args:
        path: of the file.
        state: of the run.
    """
    about = {name: getattr(state, name) for name in _PLAIN}
    about |= {"lessons": asdict(state.lessons)}
    about |= {"walkers": len(state.walkers), "jobs": len(state.jobs)}
    arrays: Arrays = {"about": np.array(json.dumps(about))}
    both: dict[str, Sequence[Walker | Job]] = {"walker": state.walkers, "job": state.jobs}
    for kind, several in both.items():
        for k, one in enumerate(several):
            arrays |= {f"{kind}.{k}.{name}": array for name, array in one.arrays().items()}
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    path.write_bytes(content.getvalue())


def read_state(path: Path) -> State:
    """Read a state.

    Args:
        path: of the file, whose digest the checkpoint has told.

    Raises:
        InputError: it is not a state.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].item())
            lessons = about.pop("lessons")
            counts = {kind: about.pop(f"{kind}s") for kind in ("walker", "job")}
            parts: dict[str, list[Arrays]] = {
                kind: [
                    {
                        name.removeprefix(f"{kind}.{k}."): arrays[name]
                        for name in arrays.files
                        if name.startswith(f"{kind}.{k}.")
                    }
                    for k in range(count)
                ]
                for kind, count in counts.items()
            }
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise InputError(f"{path}: not the state of such a run ({error})") from error
    return State(
        **about,
        lessons=Lessons(**{**lessons, "parts": tuple(lessons["parts"])}),
        walkers=[Walker.restored(one) for one in parts["walker"]],
        jobs=[Job.restored(one) for one in parts["job"]],
    )
