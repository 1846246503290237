"""Values of labels: from text or objects to checked numbers in eV and Å."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.voigt import from_voigt

#: Largest antisymmetric part of a stress or virial, relative to its largest component: what a
#: loosely converged calculation leaves. A part below the second number, in eV, is rounding.
_SYMMETRIC, _ROUNDING = 1e-3, 1e-6
#: A virial above this, in eV, is damage in the file.
_HUGE = 1e100
#: A cell with less than this part of the volume of a box with its edges is flat.
_FLAT = 1e-8
_BRACKETS = str.maketrans(",[]{}()", "       ")


def numbers(value: object) -> NDArray[np.float64] | None:
    """A value as an array of floats, or None when it is not all numbers.

    Args:
        value: a number, an array, nested lists or text: "1 2 3", "[1, 2, 3]" or what ASE
            writes for nested lists, "_JSON [[1, 2], [3, 4]]".

    Returns:
        The numbers, in the shape they came in; text without nesting gives shape (n,).
    """
    if isinstance(value, str):
        if value.startswith("_JSON "):
            try:
                return numbers(json.loads(value[6:]))
            except (ValueError, RecursionError):
                return None
        words = value.translate(_BRACKETS).split()
        value = [float(word) for word in words] if all(map(is_number, words)) else None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        return None
    if array.dtype.kind not in "iuf" or array.size == 0:
        return None
    return array.astype(np.float64)


def is_number(word: str) -> bool:
    """Whether a word is a real number as files write it (1_000, which Python reads, is not)."""
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word and word.isascii()


def placeholder(raw: object, atoms: int) -> str:
    """Why a stress or virial says nothing, as programs write that know none; "" if it does.

    Zeros are one for two atoms or more, whose virial is never zero to the last bit.
    """
    array = numbers(raw)
    if array is None:
        return ""
    if np.isnan(array).all():
        return "not a number"
    return "only zeros" if atoms > 1 and not array.any() else ""


def flat(cell: NDArray[np.float64]) -> bool:
    """Whether a cell, shape (3, 3), has no volume."""
    volume = float(abs(np.linalg.det(cell)))
    return volume <= _FLAT * float(np.prod(np.linalg.norm(cell, axis=1)))


def read_energy(raw: object, what: str) -> float:
    """An energy in eV, or an InputError that begins with `what`."""
    return float(_finite(raw, what, "one number in eV", (1,))[0])


def read_forces(raw: object, what: str, atoms: int) -> NDArray[np.float64]:
    """Forces in eV/Å, shape (atoms, 3), or an InputError that begins with `what`."""
    expected = f"three numbers in eV/Å for each of {atoms} atoms"
    return _finite(raw, what, expected, (3 * atoms,)).reshape(atoms, 3)


def read_virial(raw: object, what: str) -> NDArray[np.float64]:
    """The symmetric part (W + Wᵀ)/2 of a virial in eV, shape (3, 3).

    Args:
        raw: 9 numbers row by row or 6 as xx yy zz yz xz xy.
        what: how an error begins.

    Raises:
        InputError: other numbers, or components that differ from their opposite by more than
            0.1 % of the largest.
    """
    virial = _tensor(raw, what)
    largest, skew = np.abs(virial).max(), np.abs(virial / 2 - virial.T / 2).max()
    if largest > _HUGE:
        raise InputError(f"{what}: expected a virial in eV, got components up to {largest:.3g}")
    if 2 * skew > max(_SYMMETRIC * largest, _ROUNDING):
        raise InputError(
            f"{what}: expected a symmetric 3x3 tensor, but opposite components differ by "
            f"{2 * skew / largest:.2g} of the largest"
        )
    return np.asarray(0.5 * (virial + virial.T))


def read_stress(
    raw: object, what: str, cell: NDArray[np.float64], factor: float = 1.0
) -> NDArray[np.float64]:
    """The virial W = -V σ in eV, shape (3, 3), of a stress σ = +(1/V) dE/dε in eV/Å³.

    Args:
        raw: 9 numbers row by row or 6 as xx yy zz yz xz xy.
        what: how an error begins.
        cell: lattice vectors as rows in Å, shape (3, 3).
        factor: what the numbers are multiplied by to be in eV/Å³.

    Raises:
        InputError: as `read_virial`, or the cell has no volume.
    """
    stress = factor * _tensor(raw, what)
    volume = float(abs(np.linalg.det(cell)))
    if flat(cell):
        raise InputError(
            f"{what}: a stress needs three independent lattice vectors, "
            f"got the cell {cell.tolist()}"
        )
    if np.abs(stress).max() > _HUGE / max(volume, 1.0):
        raise InputError(f"{what}: expected a stress in eV/Å³, got up to {np.abs(stress).max()}")
    return read_virial(-volume * stress, what)


def read_numbers(raw: object, what: str) -> NDArray[np.float64]:
    """Any numbers, in the shape they come in (a single one has none); errors begin with `what`."""
    array = numbers(raw)
    size = 0 if array is None else array.size
    flat = _finite(raw, what, "numbers", (size or 1,))
    return flat.reshape(()) if array is None or size == 1 else flat.reshape(array.shape)


def _tensor(raw: object, what: str) -> NDArray[np.float64]:
    array = _finite(raw, what, "9 numbers (3x3) or 6 (xx yy zz yz xz xy)", (6, 9))
    return from_voigt(array) if array.size == 6 else array.reshape(3, 3)


def _finite(raw: object, what: str, expected: str, sizes: tuple[int, ...]) -> NDArray[np.float64]:
    """All numbers of a value in one row, if there are as many as expected and all finite."""
    array = numbers(raw)
    if array is None or array.size not in sizes:
        got = repr(raw) if array is None else f"{array.size} numbers"
        raise InputError(f"{what}: expected {expected}, got {got[:60]}")
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{what}: expected finite numbers, got {array[first]} at index {first}")
    return array.ravel()
