"""In which order, and with which signs, programs write the functions of a shell.

Ours is m = -l … l without the Condon–Shortley sign: y z x; xy yz z² xz x²-y²; … No other file
knows what programs do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _plain(m: int) -> int:
    return 1


def _odd(m: int) -> int:
    """(-1)^m, the Condon–Shortley sign on both sides of zero."""
    return -1 if m % 2 else 1


def _odd_positive(m: int) -> int:
    return -1 if m > 0 and m % 2 else 1


@dataclass(frozen=True)
class _Order:
    """How a program writes shells.

    Args:
        shells: m of its functions, for every l at which it does not begin with m = -l.
        sign: of a function by m.
        most: largest l of which the order is known.
        alternating: m = 0, 1, -1, 2, -2 … in every shell that `shells` does not give.
    """

    shells: Mapping[int, tuple[int, ...]]
    sign: Callable[[int], int] = _plain
    most: int = 4
    alternating: bool = False

    def functions(self, l: int) -> tuple[int, ...]:  # noqa: E741 - the field's own symbol
        if l in self.shells:
            return self.shells[l]
        if self.alternating:
            return (0, *(m for n in range(1, l + 1) for m in (n, -n)))
        return tuple(range(-l, l + 1))


_X_FIRST: Mapping[int, tuple[int, ...]] = {1: (1, -1, 0)}
_OPENMX = {**_X_FIRST, 2: (0, 2, -2, 1, -1), 3: (0, 1, -1, 2, -2, 3, -3)}
#: PySCF, sisl and FHI-aims (p, d) from their own values; ABACUS, OpenMX and both of DeepH from
#: their sources. Odd positive m of f and g shells of FHI-aims follow the rule of p and d.
_ORDERS = {
    "acepot": _Order({}),
    "deeptb": _Order({}),
    "cp2k": _Order({}),
    "pyscf": _Order(_X_FIRST),
    "sisl": _Order({}, _odd),
    "aims": _Order({}, _odd_positive),
    "abacus": _Order({}, _odd, alternating=True),
    "openmx": _Order(_OPENMX, most=3),
    "deeph": _Order(_OPENMX, most=3),
    "deeph-siesta": _Order({**_OPENMX, 3: (3, 1, -1, -3, -2, 0, 2)}, most=3),
}
#: Programs whose order is known.
PROGRAMS = tuple(_ORDERS)


@dataclass(frozen=True, eq=False)
class Reordering:
    """From one order of the orbitals of an atom to another: to[k] = sign[k] from[place[k]].

    Args:
        place: where each orbital stands in the other order, shape (n,).
        sign: 1 or -1, shape (n,).
    """

    place: Ints
    sign: Floats

    def then(self, other: Reordering) -> Reordering:
        """This one first, the other one after it."""
        return Reordering(self.place[other.place], self.sign[other.place] * other.sign)


def to_acepot(program: str, ls: Sequence[int]) -> Reordering:
    """From a program's order to ours.

    Args:
        program: one of `PROGRAMS`.
        ls: angular momentum of every shell of the atom, in order.

    Raises:
        InputError: an unknown program, or a shell whose order is not known.
    """
    places, signs, start = [], [], 0
    for l in ls:
        theirs = _functions(program, l)
        places += [start + theirs.index(m) for m in range(-l, l + 1)]
        signs += [_ORDERS[program].sign(m) for m in range(-l, l + 1)]
        start += 2 * l + 1
    return Reordering(np.array(places, dtype=np.int64), np.array(signs, dtype=float))


def from_acepot(program: str, ls: Sequence[int]) -> Reordering:
    """From our order to a program's; as `to_acepot`."""
    there = to_acepot(program, ls)
    place = np.argsort(there.place)
    return Reordering(place, there.sign[place])


def rearranged(blocks: Floats, rows: Reordering, columns: Reordering) -> Floats:
    """Blocks in another order of orbitals.

    Args:
        blocks: shape (…, orbitals of i, orbitals of j).
        rows: of i.
        columns: of j.
    """
    moved = blocks[..., rows.place, :][..., columns.place]
    return np.asarray(moved * (rows.sign[:, None] * columns.sign))


def _functions(program: str, l: int) -> tuple[int, ...]:  # noqa: E741
    order = _ORDERS.get(program)
    if order is None:
        raise InputError(f"order: expected one of {', '.join(PROGRAMS)}, got {program!r}")
    if l > order.most:
        raise InputError(f"order: that of shells with l = {l} in {program} is not known")
    return order.functions(l)
