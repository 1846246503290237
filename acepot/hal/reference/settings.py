"""Which reference labels structures: a table `reference` with a kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from acepot.errors import InputError
from acepot.schema import Kind

__all__ = ["AseReference", "DaskReference", "FileReference", "ReferenceSettings"]

Keyword = bool | int | float | str | tuple[float, ...]


class ReferenceSettings(Kind, tag="kind"):
    """What labels structures.

    Args:
        energy_limit: eV per atom that an energy may be from that of free atoms.
    """

    energy_limit: float

    def check(self) -> None:
        """Refuse numbers that cannot be."""
        for name in ("energy_limit", "timeout"):
            value = getattr(self, name, 1.0)
            if not 0.0 < value <= 1e9:
                raise InputError(f"{name}: expected more than 0, up to 1e9, got {value:g}")
        for name, least in (("processes", 1), ("retries", 0)):
            count = getattr(self, name, least)
            if not least <= count <= 1024:
                raise InputError(f"{name}: expected {least} to 1024, got {count}")

    def moved(self, name: Callable[[str], str]) -> ReferenceSettings:
        """The same with files called otherwise."""
        return self


@dataclass(frozen=True)
class _Calculator(ReferenceSettings):
    """What calculators of ASE have in common."""

    name: str
    keywords: dict[str, Keyword] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    timeout: float = 3600.0
    retries: int = 2
    energy_limit: float = 50.0

    def moved(self, name: Callable[[str], str]) -> ReferenceSettings:
        """The same with files called otherwise."""
        return replace(self, files={key: name(value) for key, value in self.files.items()})

    def all_keywords(self, absolute: Callable[[str], str]) -> dict[str, Any]:
        """Keywords of the calculator, files by names that hold in any folder."""
        own = {k: list(v) if isinstance(v, tuple) else v for k, v in self.keywords.items()}
        return {**own, **{key: absolute(value) for key, value in self.files.items()}}


@dataclass(frozen=True)
class AseReference(_Calculator, kind="ase"):
    """A calculator of ASE, in processes of its own.

    Args:
        name: as ASE knows it, such as eam; or of a class in any module, such as
            tblite.ase:TBLite.
        keywords: of the calculator.
        files: keywords that are names of files, relative to the folder of the TOML file.
        timeout: seconds that one calculation may take.
        retries: how often one that failed is tried again, in a new process.
        energy_limit: eV per atom that an energy may be from that of free atoms.
        processes: how many there are.
    """

    processes: int = 1


@dataclass(frozen=True)
class DaskReference(_Calculator, kind="dask"):
    """A calculator of ASE on the workers of a Dask scheduler.

    Args:
        name: as ASE knows it, such as eam; or of a class in any module, such as
            tblite.ase:TBLite.
        keywords: of the calculator.
        files: keywords that are names of files that the workers see too.
        timeout: seconds that one calculation may take.
        retries: how often one that failed is tried again.
        energy_limit: eV per atom that an energy may be from that of free atoms.
        address: of the scheduler, such as tcp://node1:8786.
    """

    address: str = "tcp://127.0.0.1:8786"


@dataclass(frozen=True)
class FileReference(ReferenceSettings, kind="files"):
    """Somebody else: inputs are written, and the run goes on when outputs are there.

    Args:
        energy_limit: eV per atom that an energy may be from that of free atoms.
    """

    energy_limit: float = 50.0
