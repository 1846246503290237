"""The TOML of a fit of a Hamiltonian as dataclasses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.hamiltonian.settings import HamiltonianSettings
from acepot.orbitals import Filling
from acepot.schema import Settings

__all__ = ["HamiltonianConfig", "HamiltonianData", "dump_config", "load_config"]


@dataclass(frozen=True)
class HamiltonianData(Settings):
    """Matrices to fit and to compare with.

    Args:
        train: files or folders with H and S, of any format that can be read.
        test: likewise; they are only predicted.
        electrons: valence electrons of every element, by symbol; {}: as the files say.
    """

    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    electrons: dict[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """There must be something to fit."""
        if not self.train:
            raise InputError("train: expected one or more files, got none")


@dataclass(frozen=True)
class HamiltonianConfig(Settings):
    """Everything that determines a fit.

    Args:
        data: matrices.
        hamiltonian: functions and solvers.
        levels: k, temperature and charge with which levels are compared.
    """

    data: HamiltonianData
    hamiltonian: HamiltonianSettings = field(default_factory=HamiltonianSettings)
    levels: Filling = field(default_factory=Filling)


def load_config(path: str | Path) -> HamiltonianConfig:
    """Read the TOML file of a fit; names of files are joined to its folder.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    return loaded(HamiltonianConfig, path, _renamed)


def dump_config(config: HamiltonianConfig, folder: str | Path) -> str:
    """The TOML text that repeats a fit, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: HamiltonianConfig, name: Callable[[str], str]) -> HamiltonianConfig:
    data = config.data
    data = replace(data, train=tuple(map(name, data.train)), test=tuple(map(name, data.test)))
    return replace(config, data=data)
