"""How a function turns and reflects with its surroundings: irreducible representations of O(3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from acepot.errors import InputError

_WRITTEN = re.compile(r"(0|[1-9][0-9]?)([eo])")
#: Largest L of a basis: couplings beyond it are not tested.
MAX_TOTAL_L = 12


class Irrep(NamedTuple):
    """Angular momentum L and parity under inversion, written 0e, 1o, 2e … (e even, o odd).

    A scalar is 0e, a dipole 1o, an axial vector 1e, the traceless part of a symmetric matrix 2e.

    Args:
        l: angular momentum L.
        parity: +1 or -1.
    """

    l: int  # noqa: E741 - the field's own symbol
    parity: int

    @property
    def dim(self) -> int:
        """Number of components, 2 L + 1."""
        return 2 * self.l + 1

    def __str__(self) -> str:
        return f"{self.l}{'e' if self.parity > 0 else 'o'}"


#: What energies are.
SCALAR = Irrep(0, 1)


def irreps(written: Sequence[str]) -> tuple[Irrep, ...]:
    """Irreps from their names.

    Args:
        written: such as ("0e", "1o", "2e").

    Raises:
        InputError: another form, too large an L, or one named twice.
    """
    found = []
    for name in written:
        match = _WRITTEN.fullmatch(name)
        if match is None or int(match[1]) > MAX_TOTAL_L:
            raise InputError(
                f"irreps: expected L from 0 to {MAX_TOTAL_L} and e (even) or o (odd), such as "
                f"'0e' or '1o', got {name!r}"
            )
        found.append(Irrep(int(match[1]), 1 if match[2] == "e" else -1))
    if len(set(found)) < len(found):
        raise InputError(f"irreps: expected each once, got {list(written)}")
    return tuple(found)
