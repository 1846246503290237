"""Frames with their raw values -> Structures with labels, the same way for files and Atoms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acepot.errors import InputError
from acepot.io.structures.labels import (
    CALCULATOR,
    KeysWanted,
    Kind,
    LabelCount,
    LabelKeys,
    is_sure,
    list_keys,
    rank,
)
from acepot.io.structures.values import (
    flat,
    numbers,
    placeholder,
    read_energy,
    read_forces,
    read_numbers,
    read_stress,
    read_virial,
)
from acepot.structure import Structure

Label = Literal["energy", "forces", "virial"]
_KINDS: dict[Label, tuple[Kind, ...]] = {
    "energy": ("energy",),
    "forces": ("forces",),
    "virial": ("virial", "stress"),
}
#: Two values of one label are the same up to this, in eV or eV/Å ...
_AGREE = 1e-6
#: ... plus this part of the value. Energies hold a large constant, so theirs is smaller.
_AGREE_RELATIVE: dict[Label, float] = {"energy": 1e-9, "forces": 1e-6, "virial": 1e-6}


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure as its source gave it, before its labels are known.

    Args:
        where: for messages, "train.xyz: frame 3 (line 412)".
        bare: the structure without labels.
        info: values of the whole structure, as text or as Python objects.
        columns: values per atom, shape (n, ...).
        results: results of an attached calculator, by ASE's names.
        others: names of columns that were not kept.
    """

    where: str
    bare: Structure
    info: Mapping[str, object]
    columns: Mapping[str, object]
    results: Mapping[str, object] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def holds(self, key: str) -> bool:
        """Whether anything stands under a key of the structure or of its atoms."""
        return self.info.get(key) is not None or self.columns.get(key) is not None

    def value(self, key: str) -> object:
        """The value under a key of the structure or of its atoms.

        Raises:
            InputError: both have it.
        """
        found = [v for v in (self.info.get(key), self.columns.get(key)) if v is not None]
        if len(found) > 1:
            raise InputError(
                f"{self.where}: the key {key} stands for the structure and for its atoms; "
                "rename one of them"
            )
        return found[0]

    def named(self, kind: Kind) -> Mapping[str, object]:
        """The values among which a kind of label is looked for."""
        return self.columns if kind == "forces" else self.info

    def get(self, kind: Kind, key: str) -> object:
        """The value under a key, else the calculator's of that name; None if there is none."""
        if key == CALCULATOR:
            free = kind == "energy" and self.results.get("energy") is None
            return self.results.get("free_energy" if free else kind)
        value = self.named(kind).get(key)
        return self.results.get(key) if value is None else value


def group(value: object) -> str:
    """The name of a structure's group: an empty value, or a key without one, is no name."""
    return "default" if value is None or value is True or value == "" else str(value)


@dataclass(frozen=True)
class _Choice:
    """The keys of one label, first come first used; `checked`: all present ones must agree.

    `weaker` keys could be the label as well, by name, and are not used.
    """

    label: Label
    sources: tuple[tuple[Kind, str], ...]
    checked: bool
    weaker: tuple[tuple[Kind, str], ...] = ()


def to_structures(
    frames: Sequence[Frame], keys: LabelKeys, path: str
) -> tuple[list[Structure], LabelCount]:
    """Find the labels of all frames together and attach them.

    A stress or virial is stored as its symmetric part (W + Wᵀ)/2, in eV.

    Args:
        frames: the frames of one file or list.
        keys: the keys to use; None in it means found by name.
        path: the file, for messages.

    Returns:
        The labelled structures and the count of what was found.

    Raises:
        InputError: two keys could be one label, a key that was asked for is nowhere, a value
            is not finite, of the wrong shape or far from symmetric, a stress without a
            three-dimensional cell, a virial and a stress that contradict each other.
    """
    frames = _in_angstrom(frames, keys)
    info = tuple(dict.fromkeys(key for frame in frames for key in frame.info))
    info += (CALCULATOR,) if any(frame.results for frame in frames) else ()
    columns = tuple(
        dict.fromkeys(key for frame in frames for key in (*frame.others, *frame.columns))
    )
    there = list_keys(info, columns)
    choices = _choose(frames, keys, path, there)
    others = _others(frames, keys, path, there)
    structures = []
    used: dict[Label, dict[str, None]] = {label: {} for label in _KINDS}
    passed_over: Counter[str] = Counter()
    for frame, more in zip(frames, others, strict=True):
        labels: dict[str, Any] = {}
        for choice in choices:
            key, value, why = _label(frame, choice, keys)
            if value is not None:
                labels[choice.label] = value
                used[choice.label][key] = None
            elif why:
                passed_over[why] += 1
        if "charge" in more:
            labels["charge"] = more.pop("charge")
        structures.append(frame.bare.labelled(**labels, labels=more))
    count = LabelCount(
        path=path,
        frames=len(structures),
        atoms=sum(len(one) for one in structures),
        energies=sum(one.energy is not None for one in structures),
        forces=sum(one.forces is not None for one in structures),
        virials=sum(one.virial is not None for one in structures),
        components=sum(3 * len(one) for one in structures if one.forces is not None),
        energy_keys=tuple(used["energy"]),
        forces_keys=tuple(used["forces"]),
        virial_keys=tuple(used["virial"]),
        info=info,
        columns=columns,
        others=tuple(
            (
                name,
                sum(s.charge is not None if name == "charge" else name in s.labels
                    for s in structures),
                key,
            )
            for name, key in keys.others.items()
        ),
        passed_over=tuple(passed_over.items()),
        notes=tuple(_notes(frames, structures, choices, path)),
    )  # fmt: skip
    return structures, count


def _others(
    frames: Sequence[Frame], keys: LabelKeys, path: str, there: str
) -> list[dict[str, Any]]:
    """The further labels of every frame by name, from the keys that were given for them."""
    for name, key in keys.others.items():
        if not any(frame.holds(key) for frame in frames):
            raise InputError(f'{path}: keys.{name} = "{key}" occurs in no frame; {there}')
    return [
        {
            name: read_numbers(frame.value(key), f"{frame.where}: {name} (key {key})")
            for name, key in keys.others.items()
            if frame.holds(key)
        }
        for frame in frames
    ]


def _choose(frames: Sequence[Frame], keys: LabelKeys, path: str, there: str) -> list[_Choice]:
    """The keys of every label, decided from all frames."""
    choices, doubts = [], []
    for label, every in _KINDS.items():
        kinds = tuple(kind for kind in every if kind not in keys.ignore)
        asked = [(kind, key) for kind in kinds if (key := getattr(keys, kind)) is not None]
        for kind, key in asked:
            if all(frame.get(kind, key) is None for frame in frames):
                raise InputError(f'{path}: {kind}_key = "{key}" occurs in no frame; {there}')
        if asked:
            choices.append(_Choice(label, tuple(asked), checked=False))
            continue
        found = _found(frames, kinds)
        best = min((level for level, _ in found.values()), default=0)
        sources = [source for source, (level, _) in found.items() if level == best]
        weaker = tuple(source for source, (level, _) in found.items() if level > best)
        sources.sort(key=lambda source: (source[0] == "stress", source[1] == CALCULATOR))
        for kind in kinds:
            rivals = [
                (-found[kind, key][1], key)
                for one, key in sources
                if one == kind and key != CALCULATOR
            ]
            if len(rivals) > 1:
                doubts.append((kind, [key for _, key in sorted(rivals)]))
        choices.append(_Choice(label, tuple(sources), checked=True, weaker=weaker))
    if doubts:
        rivals_of = "; ".join(f"{kind}: {' or '.join(rivals)}" for kind, rivals in doubts)
        raise KeysWanted(
            f"{path}: more than one key could be the label ({rivals_of}); say which",
            [(kind, rivals[0]) for kind, rivals in doubts],
        )
    return choices


def _found(
    frames: Sequence[Frame], kinds: tuple[Kind, ...]
) -> dict[tuple[Kind, str], tuple[int, int]]:
    """Every key that could be a label of these kinds, with its rank and number of frames."""
    found: dict[tuple[Kind, str], tuple[int, int]] = {}
    for frame in frames:
        for kind in kinds:
            here = {
                key: level
                for key, value in frame.named(kind).items()
                if value is not None
                and (level := rank(kind, key)) is not None
                and (is_sure(kind, key) or _fits(kind, value, len(frame.bare)))
            }
            if frame.get(kind, CALCULATOR) is not None:
                here[CALCULATOR] = 1
            for key, level in here.items():
                _, times = found.get((kind, key), (0, 0))
                found[kind, key] = (level, times + 1)
    return found


def _fits(kind: Kind, value: object, atoms: int) -> bool:
    array = numbers(value)
    if array is None:
        return False
    if kind == "forces":
        return array.shape == (atoms, 3)
    return array.size == 1 if kind == "energy" else array.size in (6, 9)


def _label(frame: Frame, choice: _Choice, keys: LabelKeys) -> tuple[str, Any, str]:
    """Key and value of a label in one frame, ("", None, why) if it has none or is passed over."""
    taken: tuple[str, Any] = ("", None)
    why, first = "", ""
    for kind, key in choice.sources:
        raw = frame.get(kind, key)
        if raw is None:
            continue
        if choice.label == "virial" and (reason := _no_virial(frame, kind, raw)):
            why = reason
            continue
        value = _value(frame, kind, f"{frame.where}: {kind} (key {key})", raw, keys)
        if taken[1] is None:
            taken, first = (key, value), kind
            if not choice.checked:
                break
            continue
        gap = float(np.abs(value - taken[1]).max())
        if gap > _AGREE + _AGREE_RELATIVE[choice.label] * float(np.abs(value).max()):
            raise KeysWanted(
                f"{frame.where}: {choice.label}: the values under {taken[0]} and {key} differ "
                f"by {gap:.3g}; say which",
                [(first, taken[0]), (kind, key)],
                either=True,
            )
    return (*taken, why)


def _no_virial(frame: Frame, kind: Kind, raw: object) -> str:
    """Why a stress or virial that is there is none; "" if it is one."""
    if kind == "stress" and not frame.bare.pbc.any():
        return "no periodic direction"
    if kind == "stress" and flat(frame.bare.cell):
        return "cell without a volume"
    return placeholder(raw, len(frame.bare))


def _value(frame: Frame, kind: Kind, what: str, raw: object, keys: LabelKeys) -> Any:
    factor = keys.scale(kind).of(len(frame.bare))
    if kind == "energy":
        return factor * read_energy(raw, what)
    if kind == "forces":
        return factor * read_forces(raw, what, len(frame.bare))
    if kind == "virial":
        return factor * read_virial(raw, what)
    return read_stress(raw, what, frame.bare.cell, factor)


def _in_angstrom(frames: Sequence[Frame], keys: LabelKeys) -> Sequence[Frame]:
    """The frames with positions and cells in Å."""
    if "positions" not in keys.units:
        return frames
    length = keys.scale("positions").factor
    if length < 0:
        raise InputError("units.positions: expected a length without a sign")
    return [
        replace(
            frame,
            bare=replace(
                frame.bare,
                positions=length * frame.bare.positions,
                cell=length * frame.bare.cell,
            ),
        )
        for frame in frames
    ]


def _notes(
    frames: Sequence[Frame], structures: Sequence[Structure], choices: Sequence[_Choice], path: str
) -> Iterator[str]:
    """Structures that lack a label, although a key that was not chosen holds one."""
    for choice in choices:
        for kind, key in choice.weaker:
            lacking = [
                (i, one)
                for i, (frame, one) in enumerate(zip(frames, structures, strict=True))
                if getattr(one, choice.label) is None
                and frame.get(kind, key) is not None
                and not (choice.label == "virial" and _no_virial(frame, kind, frame.get(kind, key)))
            ]
            if not lacking:
                continue
            names = ", ".join(f"frame {i}, {one.config_type}" for i, one in lacking[:3])
            names += ", ..." if len(lacking) > 3 else ""
            chosen = " or ".join(dict.fromkeys(source for _, source in choice.sources))
            yield (
                f"{Path(path).name}: {len(lacking)} structure{'s have' * (len(lacking) > 1)}"
                f"{' has' * (len(lacking) == 1)} no {chosen} but "
                f"{'an' if kind == 'energy' else 'a' * (kind != 'forces')} {kind} under {key} "
                f"({names}), which is not used; give all of them one key, or name the key"
            ).replace("but  ", "but ")
