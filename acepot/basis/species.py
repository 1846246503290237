"""Chemical symbols and the mapping from atomic numbers to a model's species indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.errors import InputError

SYMBOLS: tuple[str, ...] = tuple(
    """X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge
    As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu
    Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu
    Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og""".split()
)


def atomic_number(symbol: str) -> int:
    """The atomic number of a chemical symbol ("Si" -> 14).

    Raises:
        InputError: no element has this symbol.
    """
    name = str(symbol).strip().capitalize()
    if name in SYMBOLS[1:]:
        return SYMBOLS.index(name)
    raise InputError(f"element: expected a chemical symbol such as Si, got {symbol!r}")


def species_indices(elements: Sequence[int], numbers: ArrayLike) -> NDArray[np.int64]:
    """The position of each atom's element in a model's list of elements.

    Args:
        elements: atomic numbers the model knows, ascending.
        numbers: atomic numbers of the atoms, shape (n,).

    Returns:
        Species indices, shape (n,).

    Raises:
        InputError: an atom's element is not in the model; the message lists those that are.
    """
    table = np.full(len(SYMBOLS), -1, dtype=np.int64)
    table[list(elements)] = np.arange(len(elements))
    numbers = np.asarray(numbers)
    indices: NDArray[np.int64] = table[numbers]
    if (indices < 0).any():
        atom = int(np.argmin(indices))
        known = ", ".join(SYMBOLS[z] for z in elements)
        raise InputError(
            f"atom {atom} is {SYMBOLS[numbers[atom]]}, which this model does not know; "
            f"it was made for {known}"
        )
    return indices
