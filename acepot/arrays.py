"""Numbers that users give, as arrays: what is none, or would become another one, is refused.

numpy turns almost anything into numbers: text that says F into True, a masked number into what
stands below the mask, 14.5 into 14. Here that is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError

__all__ = ["booleans", "floats", "integers"]

#: Largest number of any kind: its square is finite.
LARGEST = 1e100
_WORDS = {"t": True, "true": True, "f": False, "false": False}


def floats(name: str, value: Any) -> NDArray[np.float64]:
    """A copy as real numbers, infinite ones and those that are none included.

    Args:
        name: how errors begin.
        value: a number, or anything that is an array of numbers.

    Raises:
        InputError: text, dates, complex or masked numbers, rows of different lengths.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        return np.array(value, order="C")
    array = _array(name, value)
    if array.dtype.kind == "O":
        array = _plain(name, array)
    if array.dtype.kind not in "fiu":
        raise InputError(f"{name}: expected real numbers, got {_kind(array)}")
    with np.errstate(over="ignore"):  # of longer types: infinite, which is refused where it matters
        return np.array(array, dtype=np.float64, order="C")


def integers(name: str, value: Any) -> NDArray[np.int64]:
    """A copy as whole numbers.

    Args:
        name: how errors begin.
        value: whole numbers, of any type that holds them.

    Raises:
        InputError: as `floats`, and fractions, truth values and numbers that 64 bits do not hold.
    """
    if type(value) is np.ndarray and value.dtype == np.int64:
        return np.array(value, order="C")
    array = _array(name, value)
    if array.dtype.kind == "O":
        array = _plain(name, array)
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (array == np.round(array)) & (np.abs(array) < 2.0**53)
        if not whole.all():
            raise InputError(f"{name}: expected whole numbers, got {array[~whole].flat[0]}")
    elif array.dtype.kind not in "iu":
        raise InputError(f"{name}: expected whole numbers, got {_kind(array)}")
    if array.size and array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise InputError(f"{name}: expected numbers of 64 bits, got {array.max()}")
    return np.array(array, dtype=np.int64, order="C")


def booleans(name: str, value: Any) -> NDArray[np.bool_]:
    """A copy as truth values.

    Args:
        name: how errors begin.
        value: truth values, 0 and 1, or text: T, F, True, False, several in one as in "T T F" and
            "TTF".

    Raises:
        InputError: anything else, such as 2, or a number that is none.
    """
    if isinstance(value, (bool, np.bool_)) or (
        type(value) is np.ndarray and value.dtype == np.bool_
    ):
        return np.array(value, order="C")
    if isinstance(value, str):
        words = value.split()
        if len(words) == 1 and words[0].lower() not in _WORDS:
            words = list(words[0])
        value = words[0] if len(words) == 1 else words or [value]
    array = _array(name, value)
    if array.dtype.kind in "US":
        texts = [str(word, "ascii", "replace") if isinstance(word, bytes) else str(word)
                 for word in array.ravel().tolist()]  # fmt: skip
        if wrong := [text for text in texts if text.strip().lower() not in _WORDS]:
            raise InputError(f"{name}: expected T, F, True or False, got {wrong[0]!r}")
        found = [_WORDS[text.strip().lower()] for text in texts]
        return np.array(found, dtype=bool).reshape(array.shape)
    if array.dtype.kind == "O":
        array = _plain(name, array)
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise InputError(f"{name}: expected truth values, got {value!r}")
    return np.array(array, dtype=bool, order="C")


def _array(name: str, value: Any) -> NDArray[Any]:
    """The value as an array of whatever type it has."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InputError(f"{name}: expected numbers, got some that are masked; fill or leave them")
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {error}") from None


def _plain(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Python's objects as numbers, if they all are."""
    items = array.ravel().tolist()
    for item in items:
        if isinstance(item, (complex, np.complexfloating)) or not isinstance(
            item, (int, float, np.number, np.bool_)
        ):
            raise InputError(f"{name}: expected numbers, got {str(item)[:60]!r}")
    try:
        return np.array(items).reshape(array.shape)
    except (OverflowError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, got {error}") from None


def _kind(array: NDArray[Any]) -> str:
    """What an array holds, in words."""
    words = {"c": "complex numbers", "b": "truth values", "U": "text", "S": "text", "M": "dates",
             "m": "times", "V": "records"}  # fmt: skip
    return words.get(array.dtype.kind, str(array.dtype))
