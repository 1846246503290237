"""An assembly that goes on after its process was ended: its state, in the folder of a run."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.fitting.gathered import Gathered
from acepot.fitting.learning import Ending, Learning
from acepot.fitting.newton_cg import Descent
from acepot.fitting.partition import Division
from acepot.fitting.recipe import Recipe
from acepot.run.checkpoint import Checkpoint
from acepot.run.folder import RunFolder, run_folder
from acepot.run.signals import stop_request
from acepot.schema import to_mapping, to_toml
from acepot.structure import Structure

__all__ = ["EVERY", "Memory", "memory_in"]

#: Seconds between two checkpoints.
EVERY = 20.0
_SETTINGS = "recipe.toml"
#: What tells a folder of checkpoints from those of others.
_MARK = {"kind": "fit"}
#: Before the names of the arrays of a nonlinear fit, and of radial functions that are learned.
_NONLINEAR, _LEARNED = "nonlinear.", "learned."


class Memory:
    """Checkpoints of an assembly in a folder of their own.

    Args:
        home: the folder, locked.
        every: least number of seconds between two checkpoints.
    """

    def __init__(self, home: RunFolder, every: float) -> None:
        self._home, self._every = home, every
        self._last: Checkpoint | None = None
        self._saved = time.monotonic()
        self._stopped: Callable[[], bool] = lambda: False
        self._removed = False
        self._total = 0
        self._rows: dict[str, NDArray[Any]] = {}  # of all structures, once they are there
        self.descent: Descent | None = None  # of a nonlinear fit that was under way
        self.learning: Learning | None = None  # of radial functions, under way or at its end

    @property
    def is_needless(self) -> bool:
        """Whether the folder is there and nothing in it can be gone on from."""
        return self._last is None and not self._removed

    def begin(
        self,
        recipe: Recipe,
        structures: Sequence[Structure],
        basis: str,
        say: Callable[[str], None],
        division: Division | None = None,
    ) -> tuple[int, Gathered] | None:
        """Find out where to go on.

        Args:
            recipe: resolved.
            structures: in the order in which they are added.
            basis: digest of the lowered functions.
            say: told what is done with what is there.
            division: the parts of the rows; None: those that the solver asks for.

        Returns:
            How many structures are in the rows already, and the rows; None: none is.
        """

        def anew(reason: str) -> None:
            say(f"{reason}; the fit begins anew")

        contents = {"training data": digest(structures), "basis functions": basis}
        settings = to_toml(to_mapping(recipe))
        self._last = self._home.begin(settings, _MARK, contents, anew=anew)
        self._saved = time.monotonic()
        if self._last is None:
            return None
        done, state = self._last.step, self._home.path / self._last.state
        try:
            with state.open("rb") as file, np.load(file) as arrays:
                kept = dict(arrays)
                own = {n: v for n, v in kept.items() if not n.startswith((_NONLINEAR, _LEARNED))}
                rows = Gathered.restored(own, division or recipe.solver.division)
                self.descent, self.learning = _descent(kept), _learning(kept)
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, InputError) as error:
            anew(f"{state}: damaged ({error})")
            return None
        if done == len(structures):
            self._total, self._rows = done, rows.copied()
        say(f"{self._home.path}: goes on after {done} of {len(structures)} structures")
        return done, rows

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """While this lasts, Ctrl-C and SIGTERM make a checkpoint first."""
        with stop_request() as event:
            self._stopped = event.is_set
            try:
                yield
            finally:
                self._stopped = lambda: False

    def after(self, done: int, total: int, rows: Gathered, say: Callable[[str], None]) -> None:
        """Take note of a structure that is in the rows.

        Args:
            done: how many are.
            total: how many there will be.
            rows: they.
            say: told when the fit stops.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
        """
        if done == total:
            self._total, self._rows = done, rows.copied()
        if self._is_due() and self._save(done, rows.state()):
            say(f"stopped after {done} of {total} structures; the same command goes on from there")
            raise KeyboardInterrupt

    def refined(self, at: Descent, say: Callable[[str], None]) -> None:
        """Take note of a step of a nonlinear fit.

        Args:
            at: the iterate.
            say: told when the fit stops.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
        """
        if not self._rows or not self._is_due():
            return
        numbers = [at.loss, at.damping, at.growth, at.iterations, at.products, at.idle]
        best = at.coefficients if at.best is None else at.best
        own = {
            _NONLINEAR + "coefficients": at.coefficients, _NONLINEAR + "numbers": numbers,
            _NONLINEAR + "best": best, _NONLINEAR + "judged": np.array(at.judged),
        }  # fmt: skip
        if self._save(self._total, {**self._rows, **own}):
            say(f"stopped after step {at.iterations}; the same command goes on from there")
            raise KeyboardInterrupt

    def learned(self, at: Learning, say: Callable[[str], None]) -> None:
        """Take note of a step of learning radial functions.

        Once it is at its end, the rows that follow are those of the new functions.

        Args:
            at: the iterate.
            say: told when the fit stops.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
        """
        self.learning = at
        if at.ended is not None:
            self._rows = {}
        elif self._rows and self._is_due():
            self._learned(say)

    def pause(self, say: Callable[[str], None]) -> None:
        """Stop learning radial functions in the midst of a step, if that is asked for.

        Raises:
            KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
        """
        if self._stopped() and self._rows:
            self._learned(say)

    def _learned(self, say: Callable[[str], None]) -> None:
        if self._save(self._total, self._rows):
            steps = 0 if self.learning is None else self.learning.steps
            say(f"stopped after step {steps}; the same command goes on from there")
            raise KeyboardInterrupt

    def _is_due(self) -> bool:
        return self._stopped() or time.monotonic() - self._saved >= self._every

    def _save(self, step: int, arrays: Mapping[str, Any]) -> bool:
        """Make a checkpoint; whether the process is to stop."""
        stopped = self._stopped()
        with self._home.new_state(self._last).open("wb") as file:
            np.savez(file, **arrays, **_arrays_of(self.learning))
        self._last = self._home.record(step, self._last)
        self._saved = time.monotonic()
        return stopped

    def remove(self) -> None:
        """The fit is complete: nothing is left."""
        self._removed = True  # from now on the folder may be another process's
        self._home.remove()


@contextmanager
def memory_in(folder: str | Path, every: float = EVERY) -> Iterator[Memory]:
    """A folder for checkpoints, made and locked; it stays only if there is one in it.

    Args:
        folder: of its own.
        every: least number of seconds between two checkpoints.

    Raises:
        InputError: it cannot be made, another process fits in it, or it holds files that are not
            of a fit.
    """
    opened: AbstractContextManager[RunFolder] = run_folder(folder, _SETTINGS, mark=_MARK)
    with opened as home:
        memory = Memory(home, every)
        try:
            yield memory
        finally:
            if memory.is_needless:
                memory.remove()


def _descent(state: Mapping[str, Any]) -> Descent | None:
    """The iterate of a nonlinear fit in a state, if there is one."""
    if _NONLINEAR + "numbers" not in state:
        return None
    loss, damping, growth, *counts = state[_NONLINEAR + "numbers"].tolist()
    iterations, products, idle = map(int, counts)
    coefficients = state[_NONLINEAR + "coefficients"]
    judged = tuple(state.get(_NONLINEAR + "judged", np.zeros(0)).tolist())
    best = state[_NONLINEAR + "best"] if judged else None
    return Descent(coefficients, loss, damping, growth, iterations, products, idle, best, judged)


def _arrays_of(at: Learning | None) -> dict[str, Any]:
    """A state of learning radial functions as arrays."""
    if at is None:
        return {}
    found = {
        "weights": at.weights, "best": at.best, "damping": at.damping, "losses": at.losses,
        "held_out": at.held_out, "by_l": int(at.by_l),
        "ended": "" if at.ended is None else at.ended.name,
    }  # fmt: skip
    return {_LEARNED + name: np.asarray(value) for name, value in found.items()}


def _learning(state: Mapping[str, NDArray[Any]]) -> Learning | None:
    """It again, if there is one in a state."""
    found = {n.removeprefix(_LEARNED): v for n, v in state.items() if n.startswith(_LEARNED)}
    if not found:
        return None
    name = str(found["ended"])
    return Learning(
        found["weights"], found["best"], bool(found["by_l"]), float(found["damping"]),
        tuple(found["losses"].tolist()), tuple(found["held_out"].tolist()),
        Ending[name] if name else None,
    )  # fmt: skip


def digest(structures: Sequence[Structure]) -> str:
    """SHA-256 of atoms, cells, labels and groups, as hexadecimal digits."""
    whole = hashlib.sha256()
    for s in structures:
        labels = {"energy": s.energy, "forces": s.forces, "virial": s.virial, "charge": s.charge}
        arrays = {"numbers": s.numbers, "positions": s.positions, "cell": s.cell, "pbc": s.pbc}
        further = {f"labels.{name}": value for name, value in sorted(s.labels.items())}
        for name, value in {**arrays, **labels, **further}.items():
            if value is not None:
                array = np.ascontiguousarray(value)
                whole.update(f"{name}{array.dtype.str}{array.shape}".encode())
                whole.update(array.tobytes())
        whole.update(f"{s.config_type}\n".encode())
    return whole.hexdigest()
