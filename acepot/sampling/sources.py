"""Where energies come from, in a form that can be sent to other processes."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from acepot.errors import InputError
from acepot.io.files import naming
from acepot.io.registry import load
from acepot.potential import Potential
from acepot.sampling.energies import EnergyModel, PotentialEnergies

__all__ = ["Given", "ModelContent", "Source", "model_content"]


class Source(Protocol):
    """What an energy model is made of."""

    @property
    def digest(self) -> str:
        """Tells it from others."""
        ...

    def open(self, threads: int | None) -> EnergyModel:
        """The energy model, for one process and one thread that calls it.

        Args:
            threads: that share one call; None: OMP_NUM_THREADS, else all processors.
        """
        ...


@dataclass(frozen=True)
class ModelContent:
    """A model file.

    Args:
        content: its bytes.
        name: of the file, for messages.
        periodic: whether cells repeat along all three directions.
    """

    content: bytes = field(repr=False)
    name: str
    periodic: bool = True

    @property
    def digest(self) -> str:
        """As `Source`."""
        return hashlib.sha256(self.content).hexdigest()

    def open(self, threads: int | None) -> EnergyModel:
        """As `Source`."""
        return PotentialEnergies(self.potential(threads), self.periodic)

    def potential(self, threads: int | None) -> Potential:
        """The potential.

        Args:
            threads: that share one call.

        Raises:
            ModelFileError: not a model of energies.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(self.name).name
            path.write_bytes(self.content)
            return Potential(load(path), threads=threads)


@dataclass(frozen=True)
class Given:
    """An energy model that somebody made, which several processes see where it can be sent.

    Args:
        energies: of configurations.
        name: tells it from others.
    """

    energies: EnergyModel
    name: str

    @property
    def digest(self) -> str:
        """As `Source`."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def open(self, threads: int | None) -> EnergyModel:
        """As `Source`."""
        return self.energies


def model_content(path: str, periodic: bool) -> ModelContent:
    """The content of a model file.

    Args:
        path: of the file.
        periodic: whether cells repeat along all three directions.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with naming(path):
            return ModelContent(Path(path).read_bytes(), path, periodic)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
