"""Calculations on the workers of a Dask scheduler, several at once.

A worker that dies takes its calculation with it, and another one makes it again. Each calculation
is in a process of its own on the worker, so that one that hangs is ended there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from acepot.errors import InputError, MissingDependency
from acepot.hal.reference.job import Labelled
from acepot.hal.reference.pool import tried
from acepot.hal.reference.process import Process
from acepot.hal.reference.settings import DaskReference
from acepot.structure import Structure

try:
    import distributed
except ImportError as error:
    raise MissingDependency(
        'reference.kind = "dask" needs distributed: pip install acepot[sampling]'
    ) from error

__all__ = ["DaskWorkers"]

#: Seconds to wait for a scheduler, and for its first worker.
_ANSWER, _FIRST = 10.0, 120.0


def _evaluated(
    settings: DaskReference, keywords: Mapping[str, Any], structure: Structure, e0: float
) -> Labelled:
    """What a worker does."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(settings.name, keywords, Path(folder))
        try:
            return tried(process, structure, settings, e0)
        finally:
            process.close()


class DaskWorkers:
    """The workers of a scheduler.

    Args:
        settings: of the calculator, and the address.
        keywords: of its class.
        say: takes lines for people.

    Raises:
        InputError: no scheduler answers, or it has no workers.
    """

    def __init__(
        self,
        settings: DaskReference,
        keywords: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._keywords = settings, dict(keywords)
        self._there: set[Any] = set()  # one that nobody has is cancelled
        try:
            self._client = distributed.Client(
                settings.address, timeout=_ANSWER, set_as_default=False
            )
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"reference.address: no Dask scheduler answers at {settings.address} within "
                f"{_ANSWER:g} s ({error}); start one with `dask scheduler` and workers with "
                "`dask worker ADDRESS`"
            ) from error
        try:
            self._client.wait_for_workers(1, timeout=_FIRST)
        except TimeoutError as error:
            self._client.close()
            raise InputError(
                f"reference.address: the scheduler at {settings.address} has no workers after "
                f"{_FIRST:g} s"
            ) from error
        say(f"Dask at {settings.address}: reference calculations are made there")

    def submit(self, number: int, structure: Structure, e0: float) -> Future[Labelled]:
        """As `Reference`."""
        found: Future[Labelled] = Future()
        there = self._client.submit(
            _evaluated, self._settings, self._keywords, structure, e0, pure=False
        )

        def done(one: Any) -> None:
            self._there.discard(one)
            if one.status == "finished":
                found.set_result(one.result())
            else:
                error = one.exception() if one.status == "error" else one.status
                found.set_result(Labelled(structure, f"Dask: {error}"))

        self._there.add(there)
        there.add_done_callback(done)
        return found

    def close(self) -> None:
        """As `Reference`."""
        self._client.close()
