"""Samples: everything one replica of a run has sampled, and the files that hold it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError
from acepot.io.files import opened

__all__ = ["Samples", "read_energies", "read_live"]

Floats = NDArray[np.float64]

_FLAGS = {"t": True, "true": True, "f": False, "false": False}
_HEADER = "K n_cull n_extra_DOF flat_V N"


@dataclass(frozen=True, eq=False)
class Samples:
    """What one replica at one pressure has sampled.

    Args:
        enthalpy: H of the culled configurations in the order in which they were, then of the
            live ones, eV, shape (m,).
        volume: their volumes in Å³, shape (m,).
        culled: how many of them were culled; the others are live, and may be none.
        walkers: K.
        at_once: culled in one iteration.
        atoms: N.
        extra: quadratic degrees of freedom whose energy is not in H: 3N where the kinetic energy
            is not sampled.
        flat: whether the prior has density V^0 instead of V^N.
        pressure: in eV/Å³; None: not known.
        name: where they came from, for messages.

    Raises:
        InputError: shapes or numbers that cannot be those of a run.
    """

    enthalpy: Floats
    volume: Floats
    culled: int
    walkers: int
    at_once: int = 1
    atoms: int = 0
    extra: int = 0
    flat: bool = False
    pressure: float | None = None
    name: str = "samples"

    def __post_init__(self) -> None:
        for key in ("enthalpy", "volume"):
            object.__setattr__(self, key, np.array(getattr(self, key), dtype=np.float64))
        count = len(self.enthalpy)
        if self.enthalpy.shape != (count,) or self.volume.shape != (count,):
            raise InputError(
                f"{self.name}: expected as many volumes as enthalpies, got shapes "
                f"{self.enthalpy.shape} and {self.volume.shape}"
            )
        for key, low, value in (
            ("walkers", 2, self.walkers),
            ("at_once", 1, self.at_once),
            ("atoms", 0, self.atoms),
            ("extra", 0, self.extra),
            ("culled", 1, self.culled),
        ):
            if value < low:
                raise InputError(f"{self.name}: {key}: expected {low} or more, got {value}")
        if self.at_once >= self.walkers:
            raise InputError(
                f"{self.name}: at_once: expected fewer than the {self.walkers} walkers, "
                f"got {self.at_once}"
            )
        if self.flat and self.atoms == 0:
            raise InputError(f"{self.name}: atoms: a flat prior needs their number, got 0")
        if not (np.isfinite(self.enthalpy).all() and np.isfinite(self.volume).all()):
            raise InputError(f"{self.name}: expected finite enthalpies and volumes")
        if not (self.volume > 0.0).all():
            raise InputError(f"{self.name}: expected volumes above 0, got {self.volume.min():g}")

    @property
    def alive(self) -> NDArray[np.int64]:
        """Walkers alive just before each of the culled ones was, shape (culled,)."""
        return self.walkers - np.arange(self.culled) % self.at_once

    def at_pressure(self, pressure: float) -> Samples:
        """The same samples at another pressure, H + (P' - P) V.

        Exact as far as what is there was sampled at all: look at the entropy of the weights.

        Args:
            pressure: in eV/Å³.

        Raises:
            InputError: the pressure of the samples is not known.
        """
        if self.pressure is None:
            raise InputError(f"{self.name}: the pressure they were sampled at is not known")
        moved = self.enthalpy + (pressure - self.pressure) * self.volume
        return replace(self, enthalpy=moved, pressure=pressure)

    def with_live(self, enthalpy: ArrayLike, volume: ArrayLike) -> Samples:
        """The same with the walkers that are alive at the end.

        Args:
            enthalpy: of each in eV, shape (live,).
            volume: of each in Å³, shape (live,).

        Raises:
            InputError: there are other than `walkers` of them, or one has a higher enthalpy
                than the configuration that was culled last.
        """
        live, volumes = np.asarray(enthalpy, dtype=np.float64), np.asarray(volume)
        if live.shape != (self.walkers,):
            raise InputError(
                f"{self.name}: expected {self.walkers} live points, got shape {live.shape}"
            )
        last = self.enthalpy[self.culled - 1]
        if live.max() > last:
            raise InputError(
                f"{self.name}: expected live points at or below the enthalpy {last:.10g} eV that "
                f"was culled last, got {live.max():.10g}: they are of an earlier moment"
            )
        order = np.argsort(-live, kind="stable")
        return replace(
            self,
            enthalpy=np.concatenate([self.enthalpy[: self.culled], live[order]]),
            volume=np.concatenate([self.volume[: self.culled], volumes[order]]),
        )


def read_energies(path: str | Path, pressure: float | None = None) -> Samples:
    """Read a `.energies` file of pymatnest's format, written by acepot or by pymatnest.

    The first line is "K n_cull n_extra_DOF flat_V N" (older ones: without the last two), the
    others are "iteration H V". A last line without its end is left out: a run is writing it.

    Args:
        path: the file.
        pressure: at which it was sampled, in eV/Å³; the file does not say.

    Returns:
        Samples without live points.

    Raises:
        InputError: no such file, not of this format, enthalpies that rise.
    """
    with opened(path) as text:
        words = text.readline().split()
        head = _header(words, str(path))
        rows = _rows(text, str(path), first=2, columns=3)
    rising = np.flatnonzero(np.diff(rows[:, 1]) > 0.0)
    if len(rising):
        at = int(rising[0])
        before, after = rows[at : at + 2, 1].tolist()
        raise InputError(
            f"{path} line {at + 3}: expected an enthalpy of at most {before!r}, that of the line "
            f"before, got {after!r}"
        )
    return Samples(rows[:, 1], rows[:, 2], len(rows), **head, pressure=pressure, name=str(path))  # type: ignore[arg-type]


def read_live(path: str | Path) -> tuple[Floats, Floats]:
    """Read the live points at the end of a run, rows of "H V".

    Returns:
        Enthalpies in eV and volumes in Å³.

    Raises:
        InputError: no such file, not of this format.
    """
    with opened(path) as text:
        rows = _rows(text, str(path), first=1, columns=2)
    return rows[:, 0], rows[:, 1]


def _header(words: list[str], where: str) -> dict[str, int | bool]:
    """The fields of the first line by the names of `Samples`."""
    if len(words) == 3:
        words = [*words, "f", "0"]
    try:
        walkers, at_once, extra, flat, atoms = words
        return {
            "walkers": int(walkers),
            "at_once": int(at_once),
            "extra": int(extra),
            "flat": _FLAGS[flat.lower()],
            "atoms": int(atoms),
        }
    except (ValueError, KeyError) as error:
        raise InputError(
            f'{where} line 1: expected "{_HEADER}", got {" ".join(words)[:80]!r}'
        ) from error


def _rows(text: IO[str], where: str, first: int, columns: int) -> Floats:
    """Numbers of the remaining lines, shape (rows, columns)."""
    values: list[list[float]] = []
    for line, row in enumerate(text, first):
        if not row.endswith("\n"):
            break  # a run is writing it
        words = row.split()
        try:
            values.append([float(word) for word in words])
        except ValueError:
            words = []
        if len(words) != columns:
            raise InputError(
                f"{where} line {line}: expected {columns} numbers, got {row.strip()[:80]!r}"
            )
    if not values:
        raise InputError(f"{where}: expected lines of {columns} numbers, got none")
    return np.array(values)
