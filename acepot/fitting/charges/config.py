"""The TOML file of `acepot charges fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from acepot.configuration import dumped, loaded
from acepot.errors import InputError
from acepot.fitting.charges.settings import ChargeFitSettings
from acepot.schema import Settings

__all__ = ["ChargeConfig", "ChargeFiles", "dump_config", "load_config"]


@dataclass(frozen=True)
class ChargeFiles(Settings):
    """Structures and what their labels are called.

    Args:
        train: files that are fitted, relative to the folder of the TOML file.
        test: files that are only predicted.
        keys: keys of `charge`, `charges`, `dipole` and `born`; those that are not named are looked
            for under these names, alone or with REF_ in front.
        ignore: kinds of labels that are left out, some of energy, forces, stress and virial.
    """

    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()

    def check(self) -> None:
        """There must be data."""
        if not self.train:
            raise InputError("train: expected one file or more")
        if unknown := set(self.keys) - set(NAMES):
            raise InputError(f"keys: expected some of {', '.join(NAMES)}, got {min(unknown)}")


#: Labels beside energies, forces and virials.
NAMES = ("charge", "charges", "dipole", "born")


@dataclass(frozen=True)
class ChargeConfig(Settings):
    """Everything that determines a fit of a model with charges.

    Args:
        data: structures with labels.
        fit: the model and how it is fitted.
    """

    data: ChargeFiles
    fit: ChargeFitSettings = field(default_factory=ChargeFitSettings)


def load_config(path: str | Path) -> ChargeConfig:
    """Read the TOML file of a fit.

    Args:
        path: of the file.

    Returns:
        The configuration; names of files are joined to the folder of the file.

    Raises:
        InputError: the file is missing, is not TOML, or holds an unknown key or a wrong value.
    """
    return loaded(ChargeConfig, path, _renamed)


def dump_config(config: ChargeConfig, folder: str | Path) -> str:
    """The TOML text that repeats a fit, every default written out.

    Args:
        config: as loaded or made.
        folder: where the file will lie; names of files are written relative to it.
    """
    return dumped(config, folder, _renamed)


def _renamed(config: ChargeConfig, name: Callable[[str], str]) -> ChargeConfig:
    """The same fit, its files called otherwise."""
    data = config.data
    train, test = (tuple(map(name, files)) for files in (data.train, data.test))
    fit = replace(config.fit, prior=config.fit.prior.moved(name))
    return replace(config, data=replace(data, train=train, test=test), fit=fit)
