"""Extended XYZ: read structures with their labels, write them with predictions.

A frame is a line with the number of atoms, a comment line of key=value pairs and a line per
atom. Known keys are Lattice (the vectors a1 a2 a3 one after the other, in Å), pbc and
Properties (the columns); a comment without any of these is free text, and the atom lines are
then a symbol and a position. Units and signs of labels: see `acepot.io.structures.labels`. The
comments of i-PI's XYZ files are understood as well (`acepot.io.structures.ipi`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acepot.basis.species import SYMBOLS, atomic_number
from acepot.budget import MORE, allowed
from acepot.errors import InputError
from acepot.io.files import opened, replaced
from acepot.io.structures.comment import FAR, Column, Comment, parse, quoted
from acepot.io.structures.constraints import MOVE_MASK, column_of, of_words
from acepot.io.structures.frames import Frame, group, to_structures
from acepot.io.structures.labels import BY_NAME, LabelCount, LabelKeys, rank
from acepot.io.structures.values import is_number
from acepot.structure import Structure

#: Atom lines that are split into words at once.
_LINES = 20_000
#: Frames that a file may have, and for each of its bytes on disk: compressed, a frame of one atom
#: takes less than a byte, and 3 kB and 0.1 ms when it is read.
_FRAMES, _FRAMES_EACH = 100_000, 0.1


def read(
    path: str | Path, labels: LabelKeys = BY_NAME, *, config_type_key: str = "config_type"
) -> tuple[list[Structure], LabelCount]:
    """Read every structure of an (extended) XYZ file with its labels.

    Frames are counted from 0, in names ("train.xyz frame 3") and messages. Without pbc a
    frame is periodic in all directions if it has a Lattice, else in none.

    Args:
        path: the file; xz, gzip and bzip2 are read as they are.
        labels: keys of the labels; by default they are found by name.
        config_type_key: key of the structure's group; without it the group is "default".

    Returns:
        The structures (Å, eV, eV/Å) and the count of labels, whose `str` is a report line.

    Raises:
        InputError: there is no such file, it is damaged or not in this format (with the
            line), or its labels are missing, doubtful or wrong (see `acepot.io.structures.labels`).
    """
    with opened(path) as text:
        frames = list(_frames(text, Path(path), labels, config_type_key))
    if not frames:
        raise InputError(f"{path}: expected structures, got an empty file")
    return to_structures(frames, labels, str(path))


@dataclass(frozen=True)
class _Place:
    """Where a frame is: file, number from 0, number of its comment line from 1."""

    path: Path
    index: int
    line: int

    def at(self, atom: int = -1) -> str:
        """Where an atom's line (or the comment) is, for messages."""
        return f"{self.path}: frame {self.index} (line {self.line + 1 + atom})"


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some atom lines of a frame, split into words.

    Args:
        place: of the frame.
        first: number of the first of these atoms.
        words: of every line.
    """

    place: _Place
    first: int
    words: list[list[str]]

    def at(self, atom: int) -> str:
        """Where the line of one of these atoms is."""
        return self.place.at(self.first + atom)

    def columns(self, comment: Comment, more: Sequence[Column]) -> list[NDArray[Any]]:
        """Atomic numbers, positions in Å, directions that are held, and further columns."""
        self.check(comment)
        return [
            self.elements(comment.species),
            self.positions(comment.positions, comment.unit),
            self.held(comment),
            *map(self.reals, more),
        ]

    def check(self, comment: Comment) -> None:
        """Refuse lines of another number of columns."""
        width = comment.columns[-1].first + comment.columns[-1].width
        for atom, row in enumerate(self.words):
            if len(row) != width and not (comment.free and len(row) > width):
                names = " ".join(f"{column.name}:{column.width}" for column in comment.columns)
                raise InputError(
                    f"{self.at(atom)}: expected {width} columns ({names}), got {len(row)}"
                )

    def reals(self, column: Column) -> NDArray[np.float64]:
        """A column as numbers, shape (n, width)."""
        last = column.first + column.width
        words = [word for row in self.words for word in row[column.first : last]]
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if not values or "_" in "".join(words):  # float reads 1_000, which is no number here
            bad = next(i for i, word in enumerate(words) if not is_number(word))
            raise InputError(
                f"{self.at(bad // column.width)}: {column.name}: expected a number, "
                f"got {words[bad][:60]!r}"
            )
        return np.array(values).reshape(len(self.words), column.width)

    def positions(self, column: Column, unit: float) -> NDArray[np.float64]:
        """The positions in Å, shape (n, 3), all finite and of a possible size."""
        positions = self.reals(column) * unit
        good = (np.abs(positions) < FAR).all(axis=1)
        if not good.all():
            atom = int(np.argmin(good))
            raise InputError(
                f"{self.at(atom)}: {column.name}: expected a position in Å, "
                f"got {positions[atom].tolist()}"
            )
        return positions

    def elements(self, column: Column) -> NDArray[np.int64]:
        """The atomic numbers, from symbols or numbers."""
        known: dict[str, int] = {}
        for atom, row in enumerate(self.words):
            word = row[column.first]
            if word in known:
                continue
            try:
                digits = word.isascii() and word.isdecimal() and len(word) < 4
                known[word] = int(word) if digits else atomic_number(word)
                if not 0 < known[word] < len(SYMBOLS):
                    raise InputError(f"element: expected a number from 1 to 118, got {word}")
            except InputError as error:
                raise InputError(f"{self.at(atom)}: {error}") from error
        return np.array([known[row[column.first]] for row in self.words])

    def held(self, comment: Comment) -> NDArray[np.bool_]:
        """Directions in which atoms are held, shape (n, 3); (n, 0) if the file does not say."""
        for column in comment.columns:
            if column.name == MOVE_MASK:
                last = column.first + column.width
                words = [row[column.first : last] for row in self.words]
                found = of_words(words, self.place.at())
                return np.zeros((len(words), 3), dtype=bool) if found is None else found
        return np.zeros((len(self.words), 0), dtype=bool)


def _frames(text: IO[str], path: Path, labels: LabelKeys, config_type_key: str) -> Iterator[Frame]:
    """The frames of an open file, one after the other."""
    line = index = 0
    most = allowed(_FRAMES + _FRAMES_EACH * path.stat().st_size)
    for head in text:
        line += 1
        count = head.strip()
        if not count:
            continue
        where = f"{path}: frame {index} (line {line})"
        if index >= most:
            raise InputError(
                f"{where}: expected at most {most} frames in a file of its size; {MORE}"
            )
        if not (count.isascii() and count.isdecimal() and len(count) < 16 and int(count) > 0):
            raise InputError(f"{where}: expected the number of atoms, got {count[:60]!r}")
        place = _Place(path, index, line + 1)
        comment, parts = next(text, None), _parts(text, int(count), where)
        yield _frame(comment, parts, place, labels, config_type_key)
        line += 1 + int(count)
        index += 1


def _parts(text: IO[str], count: int, where: str) -> Iterator[list[list[str]]]:
    """So many lines as words, some at a time: words take twenty times the memory of numbers."""
    seen = 0
    while seen < count:
        words = [row.split() for row in islice(text, min(_LINES, count - seen))]
        if not words:
            raise InputError(
                f"{where}: expected a comment line and {count} atom lines, "
                f"but the file ends after {seen} atom lines"
            )
        yield words
        seen += len(words)


def _columns(
    parts: Iterator[list[list[str]]], comment: Comment, more: Sequence[Column], place: _Place
) -> list[NDArray[Any]]:
    """The columns of a frame. That lines are missing is said before what is wrong with one."""
    found: list[list[NDArray[Any]]] = []
    wrong: InputError | None = None
    seen = 0
    for words in parts:
        if wrong is None:
            try:
                found.append(_Rows(place, seen, words).columns(comment, more))
            except InputError as error:
                wrong = error
        seen += len(words)
    if wrong is not None:
        raise wrong
    if len(found) == 1:
        return found[0]
    return [np.concatenate([part.pop(0) for part in found]) for _ in range(3 + len(more))]


def _frame(
    line: str | None,
    parts: Iterator[list[list[str]]],
    place: _Place,
    labels: LabelKeys,
    config_type_key: str,
) -> Frame:
    """A frame: its comment line and its atom lines."""
    if line is None:
        next(parts)  # says that lines are missing
    comment = parse(line or "", place.at())
    kept = [
        column
        for column in comment.columns
        if column.name in (labels.forces, *labels.others.values())
        or rank("forces", column.name) is not None
    ]
    numbers, positions, fixed, *columns = _columns(parts, comment, kept, place)
    name = f"{place.path.name} frame {place.index}"
    try:
        bare = Structure(
            numbers,
            positions,
            cell=comment.cell,
            pbc=np.array(comment.pbc),
            config_type=group(comment.info.get(config_type_key)),
            name=name,
            fixed=fixed if fixed.any() else None,
        )
    except InputError as error:
        raise InputError(f"{place.at()}: {str(error).removeprefix(f'{name}: ')}") from error
    names = [column.name for column in kept]
    return Frame(
        where=place.at(),
        bare=bare,
        info=comment.info,
        columns=dict(zip(names, columns, strict=True)),
        others=tuple(column.name for column in comment.columns if column.name not in names),
    )


def write_structures(
    path: str | Path,
    structures: Sequence[Structure],
    *,
    energies: Sequence[float | None] | NDArray[np.float64] | None = None,
    forces: Sequence[ArrayLike | None] | None = None,
    virials: Sequence[ArrayLike | None] | None = None,
    others: Sequence[Mapping[str, ArrayLike]] | None = None,
) -> None:
    """Write structures as extended XYZ, with predictions beside their labels.

    Labels are written as REF_energy, REF_forces and REF_virial, the total charge and further
    labels as REF_charge and REF_NAME, predictions as acepot_energy, acepot_forces,
    acepot_virial and acepot_NAME, all in eV and Å with every digit: reading gives the same
    structures back bit by bit (further labels where their keys are named) and never takes a
    prediction for a label. An older file is replaced only when everything is written.

    Args:
        path: the file to make.
        structures: what to write, in this order.
        energies: predicted energies in eV, one per structure (None: without).
        forces: predicted forces in eV/Å, shape (n, 3) per structure (None: without).
        virials: predicted W = -dE/dε in eV, shape (3, 3) per structure (None: without).
        others: whatever else is predicted of each structure, by name; arrays with a row for every
            atom become columns.

    Raises:
        InputError: the predictions are not one per structure or of the wrong shape, or the
            file cannot be written.
    """
    predictions: dict[str, Any] = {"energies": energies, "forces": forces, "virials": virials}
    predictions["others"] = others
    for kind, values in predictions.items():
        if values is not None and len(values) != len(structures):
            raise InputError(
                f"{kind}: expected one per structure ({len(structures)}), got {len(values)}"
            )
    with replaced(path) as out:
        for index, structure in enumerate(structures):
            of_this = [None if every is None else every[index] for every in predictions.values()]
            *main, more = of_this
            out.write(_text(structure, main, f"structure {index}: ", more=more))


def frame(structure: Structure, info: Mapping[str, str | float | int]) -> str:
    """The text of one frame with its labels, as `write_structures` writes it, and more about it.

    Args:
        structure: with labels.
        info: further words and numbers of the comment line, by key.
    """
    return _text(structure, (None, None, None), "", info)


def _text(
    structure: Structure,
    predicted: Sequence[Any],
    where: str,
    info: Mapping[str, str | float | int] | None = None,
    more: Mapping[str, ArrayLike] | None = None,
) -> str:
    """One frame: labels under REF_ names, predicted energy, forces and virial under ours."""
    atoms = len(structure)
    comment = [f'pbc="{" ".join("FT"[int(one)] for one in structure.pbc)}"']
    if structure.cell.any():
        comment.insert(0, f'Lattice="{_words(structure.cell, (3, 3), where + "cell")}"')
    properties = "species:S:1:pos:R:3"
    columns = [structure.positions]
    labels = (structure.energy, structure.forces, structure.virial)
    for start, (energy, forces, virial) in (("REF_", labels), ("acepot_", predicted)):
        if energy is not None:
            comment.append(f"{start}energy={_words(energy, (), where + start + 'energy')}")
        if virial is not None:
            words = _words(virial, (3, 3), where + start + "virial")
            comment.append(f'{start}virial="{words}"')
        if forces is not None:
            properties += f":{start}forces:R:3"
            columns.append(_shaped(forces, (atoms, 3), where + start + "forces"))
    if structure.charge is not None:
        comment.append(f"REF_charge={_words(structure.charge, (), where + 'charge')}")
    named = [(f"REF_{name}", label) for name, label in structure.labels.items()]
    named += [(f"acepot_{name}", np.asarray(value)) for name, value in (more or {}).items()]
    for name, label in named:
        if label.ndim == 2 and len(label) == atoms:  # a row for every atom
            properties += f":{name}:R:{label.shape[1]}"
            columns.append(label)
        else:
            comment.append(f'{name}="{_words(label, label.shape, where + name)}"')
    held = [""] * atoms
    if structure.fixed is not None:
        name, held = column_of(structure.fixed)
        properties += f":{name}"
    comment.insert(1, f"Properties={properties}")
    comment.append(f"config_type={quoted(structure.config_type)}")
    for key, value in (info or {}).items():
        comment.append(f"{key}={quoted(value) if isinstance(value, str) else repr(value)}")
    lines = [str(atoms), " ".join(comment)]
    numbers = np.hstack(columns).tolist()
    for number, row, mask in zip(structure.numbers, numbers, held, strict=True):
        lines.append(f"{SYMBOLS[number]} {' '.join(map(repr, row))} {mask}".rstrip())
    return "\n".join(lines) + "\n"


def _shaped(value: ArrayLike, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise InputError(f"{what}: expected shape {shape}, got {array.shape}")
    return array


def _words(value: ArrayLike, shape: tuple[int, ...], what: str) -> str:
    """Numbers with every digit, row by row."""
    return " ".join(map(repr, _shaped(value, shape, what).ravel().tolist()))
