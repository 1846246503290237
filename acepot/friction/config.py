"""The TOML file of `acepot friction fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.friction.settings import FrictionSettings
from acepot.schema import Settings

__all__ = ["FrictionConfig", "FrictionFiles", "dump_config", "load_config"]


@dataclass(frozen=True)
class FrictionFiles(Settings):
    """Friction tensors and their unit.

    Args:
        train: files that are fitted, relative to the folder of the TOML file.
        test: files that are only predicted.
        unit: of the numbers in the files, in amu/fs.
        element: what stands for particles with the atomic number 0.
    """

    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    unit: float = 1.0
    element: str = ""

    def check(self) -> None:
        """There must be data."""
        if not self.train:
            raise InputError("train: expected one file or more")
        at_least("unit", self.unit, above=True)


@dataclass(frozen=True)
class FrictionConfig(Settings):
    """Everything that determines a fit of friction.

    Args:
        data: the tensors.
        fit: the model and how it is fitted.
    """

    data: FrictionFiles
    fit: FrictionSettings = field(default_factory=FrictionSettings)


def load_config(path: str | Path) -> FrictionConfig:
    """Read the TOML file of a fit.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    return loaded(FrictionConfig, path, _renamed)


def dump_config(config: FrictionConfig, folder: str | Path) -> str:
    """The TOML text that repeats a fit, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: FrictionConfig, name: Callable[[str], str]) -> FrictionConfig:
    """The same fit, its files called otherwise."""
    data = config.data
    train, test = (tuple(map(name, files)) for files in (data.train, data.test))
    return replace(config, data=replace(data, train=train, test=test))
