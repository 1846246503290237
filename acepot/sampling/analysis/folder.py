"""The folder of a run as the analysis reads it: pressures, samples and culled configurations."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from acepot.errors import InputError
from acepot.sampling.analysis.samples import Samples, read_energies, read_live
from acepot.units import GIGAPASCAL

__all__ = ["Replica", "read_pressures", "read_run"]

_SETTINGS = "ns.toml"


@dataclass(frozen=True, eq=False)
class Replica:
    """One replica of a run.

    Args:
        samples: what it has sampled.
        frames: the file of its culled configurations, which may not exist.
    """

    samples: Samples
    frames: Path


def read_pressures(folder: Path) -> list[float]:
    """The pressure of every replica of a run, as its ns.toml says.

    Args:
        folder: of the run.

    Returns:
        In eV/Å³.

    Raises:
        InputError: no such file, or one without `ensemble.pressures` in GPa.
    """
    path = folder / _SETTINGS
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{folder}: expected the folder of a run with a {_SETTINGS} in it ({error.strerror})"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error})") from error
    ensemble = table.get("ensemble")
    found = ensemble.get("pressures") if isinstance(ensemble, dict) else None
    numbers = found if isinstance(found, list) else []
    if not numbers or not all(type(one) in (int, float) for one in numbers):
        raise InputError(
            f"{path}: ensemble.pressures: expected a list of pressures in GPa, got {found!r}"
        )
    return [float(one) * GIGAPASCAL for one in numbers]


def read_run(folder: str | Path) -> list[Replica]:
    """Every replica of a run, in the order of its pressures.

    A replica P<k> has P<k>.energies (`read_energies`), P<k>.live once the run has ended, and
    P<k>.culled.extxyz where configurations are kept.

    Args:
        folder: of the run.

    Raises:
        InputError: no run is there, or one of its files is damaged.
    """
    folder = Path(folder)
    replicas = []
    for index, pressure in enumerate(read_pressures(folder)):
        samples = read_energies(folder / f"P{index}.energies", pressure)
        live = folder / f"P{index}.live"
        if live.exists():
            samples = samples.with_live(*read_live(live))
        replicas.append(Replica(samples, folder / f"P{index}.culled.extxyz"))
    return replicas
