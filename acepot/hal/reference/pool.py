"""Calculations beside the walkers: a few processes, each with a thread that waits for it."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from acepot.hal.reference.job import Labelled, ReferenceError, labelled, request
from acepot.hal.reference.process import Process
from acepot.hal.reference.settings import AseReference, DaskReference
from acepot.structure import Structure

__all__ = ["Processes", "Reference", "tried"]


class Reference(Protocol):
    """Labels structures, beside whatever else goes on."""

    def submit(self, number: int, structure: Structure, e0: float) -> Future[Labelled]:
        """Begin a calculation.

        Args:
            number: of the job, the same when a run goes on.
            structure: to be labelled.
            e0: energy of its free atoms in eV.
        """
        ...

    def close(self) -> None:
        """End all processes."""
        ...


def tried(
    process: Process, structure: Structure, settings: AseReference | DaskReference, e0: float
) -> Labelled:
    """The labels of a structure, after as many tries as there may be.

    Args:
        process: in which it is evaluated.
        structure: to be labelled.
        settings: time-out, retries and limits.
        e0: energy of its free atoms in eV.
    """
    found = Labelled(structure, "no calculation was made")
    for _ in range(1 + settings.retries):
        try:
            answer = process.evaluate(request(structure), settings.timeout)
            found = labelled(structure, answer, settings.energy_limit, e0)
        except ReferenceError as error:
            found = Labelled(structure, str(error))
        if not found.error:
            break
        process.close()  # the next try is in a new one: calculators remember what they found
    return found


class Processes:
    """Several processes of one calculator.

    Args:
        settings: of the calculator.
        keywords: of its class.
        folder: in which they work, one folder each.
    """

    def __init__(self, settings: AseReference, keywords: Mapping[str, Any], folder: Path) -> None:
        self._settings = settings
        self._every = [
            Process(settings.name, keywords, folder / f"process_{k}")
            for k in range(settings.processes)
        ]
        self._free: queue.SimpleQueue[Process] = queue.SimpleQueue()
        for process in self._every:
            self._free.put(process)
        self._threads = ThreadPoolExecutor(settings.processes)

    def submit(self, number: int, structure: Structure, e0: float) -> Future[Labelled]:
        """As `Reference`."""
        return self._threads.submit(self._evaluated, structure, e0)

    def _evaluated(self, structure: Structure, e0: float) -> Labelled:
        process = self._free.get()
        try:
            return tried(process, structure, self._settings, e0)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """As `Reference`; calculations that go on are ended."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._every:
            process.close()
        self._threads.shutdown(wait=True)
