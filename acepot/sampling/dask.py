"""Walks on the workers of a Dask scheduler: slices of the batch, wherever they are made.

The model goes to every worker once, also to one that comes later in place of one that died. A
slice that was on a worker that died is made by another one. Since a walk is a function of its task
alone, the result does not depend on any of that.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

from acepot.errors import AceError, InputError, MissingDependency
from acepot.sampling.energies import EnergyModel
from acepot.sampling.ensemble import Ensemble
from acepot.sampling.moves.protocol import Move
from acepot.sampling.preparation import Prepared
from acepot.sampling.sources import Source
from acepot.sampling.walk import Task, Walked, walk

try:
    import distributed
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker
except ImportError as error:
    raise MissingDependency("--dask needs distributed: pip install acepot[sampling]") from error

__all__ = ["WorkersError", "walks"]

#: Of acepot, the same everywhere.
_VERSION = version("acepot")
#: Seconds to wait for a scheduler, for its first worker, and between looks at how many there are.
_ANSWER, _FIRST, _LOOK = 10.0, 120.0, 5.0


class WorkersError(AceError, RuntimeError):
    """Workers, or their scheduler, are lost."""


class _Workplace(distributed.WorkerPlugin):
    """What a worker needs to make walks; it comes to every worker, and opens the model there.

    Args:
        source: of energies.
        ensemble: what is sampled.
        moves: the kinds there are.
    """

    def __init__(self, source: Source, ensemble: Ensemble, moves: Sequence[Move]) -> None:
        self.name = f"acepot-{source.digest[:16]}-{secrets.token_hex(4)}"
        self._version = _VERSION
        self._source, self._ensemble, self._moves = source, ensemble, moves

    def setup(self, worker: Any) -> None:
        """Called on every worker when it comes."""
        if self._version != _VERSION:
            raise WorkersError(f"the worker has acepot {_VERSION}, not {self._version}")
        self._own = threading.local()
        _WORKPLACES[self.name] = self

    def teardown(self, worker: Any) -> None:
        """Called when the run ends."""
        _WORKPLACES.pop(self.name, None)

    def walk(self, task: Task) -> Walked:
        """Make a walk with the energy model of this thread: its results are one thread's."""
        if not hasattr(self._own, "energies"):
            self._own.energies = self._source.open(1)
        energies: EnergyModel = self._own.energies
        return walk(self._ensemble, self._moves, energies, task)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_own"}


#: Of the runs that this worker works for, by name.
_WORKPLACES: dict[str, _Workplace] = {}


def _walk(name: str, task: Task) -> Walked:
    """What a worker does."""
    return _WORKPLACES[name].walk(task)


class _Walks:
    """Makes walks on workers.

    Args:
        client: of the scheduler.
        address: of it, for messages.
        name: of the run there.
        say: takes lines for people.
    """

    def __init__(self, client: Any, address: str, name: str, say: Callable[[str], None]) -> None:
        self._client, self._address, self._name, self._say = client, address, name, say
        self._threads, self._looked = 0, -_LOOK

    def __call__(self, task: Task) -> Walked:
        """Make a walk.

        Raises:
            NotFiniteError: the model gave no number.
            WorkersError: the scheduler is lost, or a walk ends every worker.
        """
        try:
            parts = task.parts(self._slices())
            futures = [self._client.submit(_walk, self._name, one, pure=False) for one in parts]
            found = self._gathered(futures)
        except KilledWorker as error:
            raise WorkersError(
                f"Dask at {self._address}: workers died again and again in the same walk "
                f"({error}); do they have enough memory?"
            ) from error
        except (CommClosedError, CancelledError, OSError, TimeoutError) as error:
            raise WorkersError(
                f"Dask at {self._address}: the scheduler is lost ({error or type(error).__name__})"
            ) from error
        return Walked.joined(found)

    def _slices(self) -> int:
        """One for each thread that there is just now."""
        now = time.monotonic()
        if now - self._looked >= _LOOK or self._threads == 0:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._threads = sum(int(one["nthreads"]) for one in workers.values())
            self._looked = now
        return max(self._threads, 1)

    def _gathered(self, futures: list[Any]) -> list[Any]:
        """The results, when they are there; a word where no worker is left to make them."""
        told = False
        while True:
            with suppress(TimeoutError), self._client.as_current():
                distributed.wait(futures, timeout=_LOOK)
                return list(self._client.gather(futures))
            if not told and not self._client.scheduler_info(n_workers=-1)["workers"]:
                self._say(f"Dask at {self._address}: no worker is left; waits for one")
                told = True


@contextmanager
def walks(
    address: str, prepared: Prepared, say: Callable[[str], None]
) -> Iterator[Callable[[Task], Walked]]:
    """What makes walks on the workers of a scheduler.

    Args:
        address: of the scheduler, such as tcp://node1:8786.
        prepared: the run.
        say: takes lines for people.

    Raises:
        InputError: no scheduler answers, or it has no workers.
        WorkersError: the workers cannot make walks.
    """
    try:
        client = distributed.Client(address, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"--dask: no Dask scheduler answers at {address} within {_ANSWER:g} s ({error}); start "
            "one with `dask scheduler` and workers with `dask worker ADDRESS`, or see dask-jobqueue"
        ) from error
    try:
        _await_workers(client, address, say)
        place = _Workplace(prepared.source, prepared.ensemble, prepared.settings.moves)
        try:
            client.register_plugin(place)
        except Exception as error:
            raise WorkersError(
                f"Dask at {address}: its workers cannot make walks: {error}; they need acepot "
                f"{_VERSION}, installed as here"
            ) from error
        found = client.scheduler_info(n_workers=-1)["workers"]
        say(f"Dask at {address}: {len(found)} worker{'s' if len(found) != 1 else ''}")
        try:
            yield _Walks(client, address, place.name, say)
        finally:
            with suppress(Exception):  # where it is lost there is nothing to tidy
                client.unregister_worker_plugin(place.name)
    finally:
        client.close()


def _await_workers(client: Any, address: str, say: Callable[[str], None]) -> None:
    if not client.scheduler_info(n_workers=-1)["workers"]:
        say(f"Dask at {address}: has no workers yet; waits up to {_FIRST:g} s")
    try:
        client.wait_for_workers(1, timeout=_FIRST)
    except TimeoutError as error:
        raise InputError(
            f"--dask: the scheduler at {address} has no workers after {_FIRST:g} s; start some "
            f"with `dask worker {address}`"
        ) from error
