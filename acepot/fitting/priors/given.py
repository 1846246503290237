"""Priors of the user's own: numbers for every function, or factors by order and degree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from acepot.basis.expansion import Expansion
from acepot.errors import InputError
from acepot.fitting.bounds import at_least
from acepot.fitting.priors.base import Floats, Prior
from acepot.fitting.priors.smooth import Algebraic

__all__ = ["Factors", "Given"]


@dataclass(frozen=True)
class Given(Prior, kind="given"):
    """γ of every function as a file has it.

    Args:
        file: of text, a number above 0 for each function, in the order of the basis; what follows
            a # is a comment.
    """

    file: str

    def check(self) -> None:
        """It needs a name."""
        if not self.file:
            raise InputError("file: expected the name of a file, got an empty one")

    def gamma(self, expansion: Expansion) -> Floats:
        """The numbers in the file.

        Raises:
            InputError: it cannot be read, or holds another number of functions, or a wrong number.
        """
        values = _numbers(Path(self.file))
        if len(values) != expansion.size:
            raise InputError(
                f"{self.file}: expected a number for each of the {expansion.size} functions of "
                f"the basis, got {len(values)}"
            )
        return values

    def moved(self, rename: Callable[[str], str]) -> Given:
        """As `Prior.moved`."""
        return replace(self, file=rename(self.file))


def _numbers(path: Path) -> Floats:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot read the prior: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}, line {number}"
        for word in line.partition("#")[0].split():
            try:
                value = float(word)
            except ValueError:
                raise InputError(f"{where}: expected a number, got {word!r}") from None
            at_least(where, value, above=True)
            found.append(value)
    return np.array(found)


@dataclass(frozen=True)
class Factors(Algebraic, kind="factors"):
    """γ of "algebraic" times a factor for the order and one for the degree of a function.

    Args:
        order: factors of the functions of order 1, 2, ...; the last holds for all above.
        degree: factors of degree Σ_t n_t + l_t = 1, 2, ...; the last holds for all above.
        pair: factor of the pair functions, beside that of their degree.
    """

    order: tuple[float, ...] = ()
    degree: tuple[float, ...] = ()
    pair: float = 1.0

    def check(self) -> None:
        """All must be above 0."""
        for name in ("p", "wl", "wn", "pair"):
            at_least(name, getattr(self, name), above=True)
        for name in ("order", "degree"):
            for place, value in enumerate(getattr(self, name)):
                at_least(f"{name}[{place}]", value, above=True)

    def grown(self, expansion: Expansion, n: Floats, l: Floats) -> Floats:
        """As the class says."""
        pair = expansion.labels.pair
        orders = np.where(pair, 0, expansion.labels.order)
        degrees = (n + l).sum(axis=1).astype(int)
        by_order = np.where(pair, self.pair, _nth(self.order, orders))
        return np.asarray(super().grown(expansion, n, l) * by_order * _nth(self.degree, degrees))


def _nth(factors: tuple[float, ...], places: Floats) -> Floats:
    """The factors at places from 1 on, the last of them beyond; 1 where there are none."""
    if not factors:
        return np.ones(len(places))
    return np.asarray(np.array(factors)[np.clip(places, 1, len(factors)).astype(int) - 1])
