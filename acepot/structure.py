"""Structure: atoms in a cell with their labels, checked once and then trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot import lattice
from acepot.arrays import LARGEST, booleans, floats, integers
from acepot.errors import InputError

#: A cell whose volume is below this fraction of the product of its edges is called flat.
_FLAT = 1e-8
#: Å; unless its lattice has vectors no shorter: then the cell is only sheared by many of them.
_SHORTEST = 0.1
#: Å, as far as the evaluators place atoms.
_LONGEST = 1e8


def _array(
    name: str, value: ArrayLike, shape: tuple[int, ...], dtype: type, where: str
) -> NDArray[Any]:
    """A read-only, contiguous copy of `value` with the expected shape, or an InputError."""
    convert: Any = {float: floats, int: integers, bool: booleans}[dtype]
    array: NDArray[Any] = convert(f"{where}{name}", value)
    if array.shape != shape:
        raise InputError(f"{where}{name}: expected shape {shape}, got {array.shape}")
    most = np.finfo(float).max if name == "cell" else LARGEST  # of cells less is said elsewhere
    if dtype is float and not (np.abs(array) <= most).all():
        first = tuple(int(i) for i in np.argwhere(~(np.abs(array) <= most))[0])
        raise InputError(
            f"{where}{name} at index {first} is {array[first]}: expected finite numbers up to "
            f"{LARGEST:g}"
        )
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False, init=False)
class Structure:
    """Atoms, their cell and, when known, the labels to fit.

    Args:
        numbers: atomic numbers, shape (n,), 1 to 118.
        positions: atom positions in Å, shape (n, 3).
        cell: lattice vectors as rows in Å, shape (3, 3); rows of directions that are not
            periodic may be zero. None means no cell at all.
        pbc: periodic directions, shape (3,) or one value for all.
        energy: total energy in eV, if known.
        forces: forces in eV/Å, shape (n, 3), if known.
        virial: W = -dE/dε in eV, shape (3, 3), if known (stress = -W/V).
        config_type: the group this structure belongs to in weights and error tables.
        name: where it came from, for messages ("train.xyz frame 3").
        charge: total charge in e, if known.
        labels: further labels by name, arrays of any shape ("dipole").
        fixed: directions in which atoms are held in molecular dynamics, shape (n, 3) or (n,);
            None: none is.
        constraints: names of whatever else is held, such as bond lengths, which nothing here does.

    Raises:
        InputError: wrong shapes, non-finite numbers, unknown atomic numbers, a periodic
            cell without volume.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: NDArray[np.bool_]
    energy: float | None
    forces: NDArray[np.float64] | None
    virial: NDArray[np.float64] | None
    config_type: str
    name: str
    charge: float | None
    labels: Mapping[str, NDArray[np.float64]]
    fixed: NDArray[np.bool_] | None
    constraints: tuple[str, ...]

    def __init__(
        self,
        numbers: ArrayLike,
        positions: ArrayLike,
        cell: ArrayLike | None = None,
        pbc: ArrayLike | None = None,
        energy: float | None = None,
        forces: ArrayLike | None = None,
        virial: ArrayLike | None = None,
        config_type: str = "default",
        name: str = "",
        charge: float | None = None,
        labels: Mapping[str, ArrayLike] | None = None,
        fixed: ArrayLike | None = None,
        constraints: Sequence[str] = (),
    ) -> None:
        where, put = f"{name}: " if name else "", self._put
        count = integers(f"{where}numbers", numbers).size
        if count == 0:
            raise InputError(f"{where}a structure needs at least one atom, got none")
        put("config_type", config_type)
        put("name", name)
        put("numbers", _array("numbers", numbers, (count,), int, where))
        if (outside := (self.numbers < 1) | (self.numbers > 118)).any():
            bad = self.numbers[outside][0]
            raise InputError(f"{where}numbers: expected atomic numbers 1 to 118, got {bad}")
        put("positions", _array("positions", positions, (count, 3), float, where))
        vectors = np.zeros((3, 3)) if cell is None else cell
        put("cell", _array("cell", vectors, (3, 3), float, where))
        periodic = booleans(f"{where}pbc", False if pbc is None else pbc)
        periodic = np.broadcast_to(periodic, (3,)) if periodic.ndim == 0 else periodic
        put("pbc", _array("pbc", periodic, (3,), bool, where))
        held = None if fixed is None else booleans(f"{where}fixed", fixed)
        if held is not None and held.shape == (count,):
            held = np.repeat(held[:, None], 3, axis=1)
        put("fixed", None if held is None else _array("fixed", held, (count, 3), bool, where))
        put("constraints", tuple(constraints))
        self._check_cell(where)
        self._label(where, energy, forces, virial, charge, {} if labels is None else labels)

    def labelled(self, **given: Any) -> Structure:
        """The same atoms with other labels, which alone are checked.

        Args:
            given: energy, forces, virial, charge or labels, as this class takes them; None takes
                one off, those that are not named stay, labels are put beside those that are there.

        Raises:
            InputError: wrong names or shapes, numbers that are not finite.
        """
        names = ("energy", "forces", "virial", "charge", "labels")
        if wrong := set(given) - set(names):
            raise InputError(f"labelled: expected {', '.join(names)}, got {min(wrong)}")
        values = {name: given.get(name, getattr(self, name)) for name in names}
        values["labels"] = {**self.labels, **(given.get("labels") or {})}
        other = copy(self)
        other._label(f"{self.name}: " if self.name else "", **values)
        return other

    def moved(self, positions: ArrayLike, cell: ArrayLike | None = None) -> Structure:
        """The same atoms elsewhere, without labels: for dynamics, where nothing else changes.

        The total charge stays.

        Args:
            positions: in Å, shape (n, 3).
            cell: vectors as rows in Å; None: it stays, and is not checked again.

        Raises:
            InputError: wrong shapes, numbers that are not finite, a cell without volume.
        """
        where, other = f"{self.name}: " if self.name else "", copy(self)
        other._put("positions", _array("positions", positions, (len(self), 3), float, where))
        if cell is not None:
            other._put("cell", _array("cell", cell, (3, 3), float, where))
            other._check_cell(where)
        for key in ("energy", "forces", "virial"):
            other._put(key, None)
        other._put("labels", {})
        return other

    def _put(self, key: str, value: object) -> None:
        object.__setattr__(self, key, value)

    def _label(
        self,
        where: str,
        energy: Any,
        forces: Any,
        virial: Any,
        charge: Any,
        labels: Mapping[str, ArrayLike],
    ) -> None:
        for key, number in (("energy", energy), ("charge", charge)):
            put = None if number is None else float(_array(key, number, (), float, where))
            self._put(key, put)
        for key, value, shape in (("forces", forces, (len(self), 3)), ("virial", virial, (3, 3))):
            self._put(key, None if value is None else _array(key, value, shape, float, where))
        if taken := {"energy", "forces", "virial", "charge"}.intersection(labels):
            raise InputError(f"{where}labels: {min(taken)} is an argument of its own")
        self._put(
            "labels",
            {
                str(key): _array(f"labels[{key!r}]", value, np.shape(value), float, where)
                for key, value in labels.items()
            },
        )

    def _check_cell(self, where: str) -> None:
        periodic = self.cell[self.pbc]
        if len(periodic) == 0:
            return
        with np.errstate(all="ignore"):  # absurd lengths end as inf or nan and fail the tests
            lengths = np.linalg.norm(periodic, axis=1)
            # Of directions: the heights of their triangular factor multiply to what they span.
            heights = np.linalg.qr((periodic / lengths[:, None]).T).R.diagonal()
            sound = lengths.min() > 0.0 and abs(np.prod(heights)) > _FLAT
        if not lengths.max() < _LONGEST:
            raise InputError(
                f"{where}cell: expected vectors shorter than {_LONGEST:g} Å, "
                f"got {periodic.tolist()}"
            )
        # Lengths of shortest vectors multiply to the volume times the square root of 2 at most.
        least = _SHORTEST ** len(periodic) / np.sqrt(2)
        if not sound and lattice.spanned(self.cell, self.pbc) > least:
            short, _ = lattice.reduced(self.cell, self.pbc)
            sound = np.linalg.norm(short[self.pbc], axis=1).min() > _SHORTEST
        if not sound:
            raise InputError(
                f"{where}cell: its periodic vectors {periodic.tolist()} span no volume; "
                "give three independent lattice vectors or switch pbc off"
            )

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Volume of the cell in Å³ (0 without a full cell)."""
        return float(abs(np.linalg.det(self.cell)))
