"""The reference that settings describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from acepot.hal.reference.pool import Processes, Reference
from acepot.hal.reference.queue import Files
from acepot.hal.reference.settings import (
    AseReference,
    DaskReference,
    FileReference,
    ReferenceSettings,
)

__all__ = ["opened"]


def opened(settings: ReferenceSettings, folder: Path, say: Callable[[str], None]) -> Reference:
    """The reference that settings describe.

    Args:
        settings: of the run, with names of files that hold here.
        folder: of the run.
        say: takes lines for people.

    Raises:
        InputError: no scheduler answers.
        MissingDependency: Dask without distributed.
    """

    def absolute(name: str) -> str:
        return str(Path(name).resolve())

    if isinstance(settings, AseReference):
        return Processes(settings, settings.all_keywords(absolute), folder / "reference")
    if isinstance(settings, DaskReference):
        from acepot.hal.reference.dask import DaskWorkers

        return DaskWorkers(settings, settings.all_keywords(absolute), say)
    limits = settings if isinstance(settings, FileReference) else FileReference()
    return Files(limits, folder / "jobs")
