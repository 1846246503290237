"""A log: numbers in columns with units, a row at a time, as CSV that can be read back."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.io.files import naming

__all__ = ["Column", "Log", "read"]


@dataclass(frozen=True)
class Column:
    """A column of a log.

    Args:
        name: of the quantity.
        unit: in letters and digits, such as A3; empty: it has none.
        meaning: what it is, for readers of the code and of pages made from it.
    """

    name: str
    unit: str = ""
    meaning: str = ""

    @property
    def title(self) -> str:
        """Name and unit, such as volume_A3."""
        return f"{self.name}_{self.unit}" if self.unit else self.name


class Log:
    """A log that grows: a new one, or one that goes on.

    Args:
        path: of the CSV file.
        columns: of every row.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._path, self._columns = path, tuple(columns)
        self._file = path.open("a", encoding="utf-8")
        if self._file.tell() == 0:
            with naming(path):
                self._file.write(",".join(column.title for column in columns) + "\n")
                self._file.flush()

    def write(self, row: Sequence[int | float]) -> None:
        """Append a row, in the order of the columns, with every digit."""
        if len(row) != len(self._columns):
            raise InputError(f"row: expected {len(self._columns)} numbers, got {len(row)}")
        plain = (np.asarray(value).item() for value in row)  # numpy's numbers name their type
        with naming(self._path):
            self._file.write(",".join(map(repr, plain)) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with naming(self._path):
            self._file.close()


def read(path: Path, columns: Sequence[Column]) -> dict[str, NDArray[np.float64]]:
    """The columns of a log by title, each of shape (rows,).

    Args:
        path: of the CSV file.
        columns: that it must have.

    Raises:
        InputError: not such a log.
    """
    expected = [column.title for column in columns]
    with path.open(newline="") as file:
        rows: Iterator[list[str]] = csv.reader(file)
        names = next(rows, [])
        if names != expected:
            raise InputError(f"{path}: expected the columns {', '.join(expected)}, got {names}")
        try:
            values = np.array([[float(word) for word in words] for words in rows])
        except ValueError as error:
            raise InputError(f"{path}: expected numbers: {error}") from error
    return dict(zip(names, values.reshape(-1, len(names)).T, strict=True))
