"""A survey in lines and tables of text, and as a report for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS
from acepot.fitting.labels import duplicates
from acepot.fitting.labels.work import Comparison
from acepot.survey.survey import Survey
from acepot.units import GIGAPASCAL

__all__ = ["GROUPS", "extremes", "groups", "lines", "remarks", "report", "text_table"]

#: Head of the table of groups.
GROUPS = (
    "config_type", "structures", "atoms", "elements", "E", "F", "V", "E - E0 (eV/atom)", "lowest",
    "highest", "largest F (eV/Å)", "GPa",
)  # fmt: skip
#: Groups that are shown, structures with extreme labels, and isolated atoms.
_GROUPS, _EXTREMES, _ALONE = 25, 5, 10


def groups(found: Survey) -> list[list[str]]:
    """A row for every config type, the largest first, and one for all."""
    members: dict[str, list[int]] = {}
    for index, one in enumerate(found.structures):
        members.setdefault(one.config_type, []).append(index)
    ordered = sorted(members.items(), key=lambda pair: -len(pair[1]))
    rows = [_row(found, name, own) for name, own in ordered[:_GROUPS]]
    if len(ordered) > _GROUPS:
        rest = [i for _, own in ordered[_GROUPS:] for i in own]
        rows.append(_row(found, f"({len(ordered) - _GROUPS} others)", rest))
    if len(ordered) > 1:
        rows.append(_row(found, "all", range(len(found.structures))))
    return rows


def _row(found: Survey, name: str, own: Sequence[int]) -> list[str]:
    index = np.array(own)
    some = [found.structures[i] for i in own]
    numbers = sorted({int(z) for s in some for z in np.unique(s.numbers)})
    excess = found.excess[index]
    return [
        name,
        str(len(some)),
        _range([len(s) for s in some]),
        " ".join(SYMBOLS[z] for z in numbers),
        str(sum(s.energy is not None for s in some)),
        str(sum(s.forces is not None for s in some)),
        str(sum(s.virial is not None for s in some)),
        _number(excess, np.mean),
        _number(excess, np.min),
        _number(excess, np.max),
        _number(found.forces[index], np.max),
        _pressures(found.pressures[index]),
    ]


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}-{high}"


def _number(values: NDArray[np.float64], of: Any) -> str:
    known = values[np.isfinite(values)]
    return f"{float(of(known)):.3f}" if len(known) else "-"


def _pressures(values: NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    return f"{known.min():.1f} to {known.max():.1f}" if len(known) else "-"


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Fixed-width text, the first column to the left, the others to the right."""
    every = [list(head), *map(list, rows)]
    widths = [max(len(row[k]) for row in every) for k in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    )


def remarks(found: Survey) -> list[str]:
    """What was found out, a sentence each."""
    e0 = ", ".join(f"{s} {e:.6g} eV ({found.choice.origin[s]})" for s, e in found.choice.e0.items())
    known = found.excess[np.isfinite(found.excess)]
    said = [f"E0: {e0}"]
    if len(known):
        said.append(
            f"energies less E0: {known.mean():.3f} ± {known.std():.3f} eV/atom, from "
            f"{known.min():.3f} ({found.name(_at(found.excess, np.nanargmin))}) to "
            f"{known.max():.3f} ({found.name(_at(found.excess, np.nanargmax))})"
        )
    alone = found.isolated
    said.append(_isolated(found) if alone else "isolated atoms: none")
    said += _compared(found)
    line = duplicates.line(found.twins, found.structures)
    said.append(line or "duplicates: none")
    pairs = ", ".join(f"{pair} {d:.3g} Å" for pair, d in found.choice.shortest.items())
    said.append(f"shortest distances: {pairs or 'none below 4 Å'}")
    return said


def _isolated(found: Survey) -> str:
    parts = [
        f"{SYMBOLS[int(s.numbers[0])]} {s.energy:.6g} eV ({s.name})"
        for s in found.isolated[:_ALONE]
    ]
    more = len(found.isolated) - len(parts)
    return f"isolated atoms: {', '.join(parts)}" + (f" and {more} more" if more else "")


def _compared(found: Survey) -> list[str]:
    """Stresses and forces against the energies of neighbouring frames."""
    said = []
    virials, forces = found.steps.compare_virials(), found.steps.compare_forces()
    if any(s.virial is not None for s in found.structures):
        said.append(f"stresses against -dE/dV: {_slope(virials)}")
        if virials is not None and virials.told:
            common = np.array([virials.pressure, virials.pressure_error]) / GIGAPASCAL
            said[-1] += f"; {common[0]:+.2f} ± {common[1]:.1g} GPa in common"
    if any(s.forces is not None for s in found.structures):
        said.append(f"energies against the work of forces: {_slope(forces)}")
    return said


def _slope(compared: Comparison | None) -> str:
    if compared is None or not compared.told:
        count = 0 if compared is None else len(compared.frames)
        return f"{count} pairs of neighbouring frames, too few or too far apart to tell"
    return (
        f"{compared.slope:.3f} ± {compared.error:.1g} times, in {len(compared.frames)} pairs of "
        "neighbouring frames"
    )


def _at(values: NDArray[np.float64], which: Any) -> int:
    return int(which(values))


def extremes(found: Survey) -> list[list[str]]:
    """Structures with the highest and lowest energies and the largest forces."""
    rows = []
    for what, values, sign, unit in (
        ("highest energy", found.excess, -1, "eV/atom"),
        ("lowest energy", found.excess, 1, "eV/atom"),
        ("largest force", found.forces, -1, "eV/Å"),
        ("shortest distance", found.contacts, 1, "of the radii"),
    ):
        known = np.flatnonzero(np.isfinite(values))
        for i in known[np.argsort(sign * values[known], kind="stable")][:_EXTREMES].tolist():
            one = found.structures[i]
            size = f"{values[i]:.4g} {unit}"
            rows.append([what, size, found.name(i), one.config_type, str(len(one))])
    return rows


def lines(found: Survey) -> list[str]:
    """All of it for a terminal, what is strange or wrong at the end."""
    said = ["", text_table(GROUPS, groups(found)), "", *remarks(found), ""]
    head = ("extremes", "value", "structure", "config_type", "atoms")
    said += [text_table(head, extremes(found)), ""]
    wrong = [one for one in found.findings if one.wrong]
    said += [f"{'wrong' if one.wrong else 'strange'}: {one.text}" for one in found.findings]
    strange = len(found.findings) - len(wrong)
    said.append(
        "nothing strange was found"
        if not found.findings
        else f"{len(wrong)} cannot be right, {strange} strange"
    )
    return said


def report(found: Survey) -> dict[str, Any]:
    """The same for programs."""
    return {
        "files": [
            {
                "file": c.path, "structures": c.frames, "atoms": c.atoms, "energies": c.energies,
                "forces": c.forces, "virials": c.virials, "passed over": dict(c.passed_over),
                "keys": {
                    "energy": c.energy_keys, "forces": c.forces_keys, "virial": c.virial_keys,
                },
            }
            for c in found.counts
        ],
        "groups": [dict(zip(GROUPS, row, strict=True)) for row in groups(found)],
        "e0": {
            s: {"energy": e, "origin": found.choice.origin[s]} for s, e in found.choice.e0.items()
        },
        "remarks": remarks(found),
        "duplicates": [
            {
                "structure": t.second.name, "is": t.first.name, "energy": t.energy,
                "forces": t.forces,
            }
            for t in found.twins
        ],
        "shortest distances": found.choice.shortest,
        "extremes": extremes(found),
        "findings": [
            {"kind": "wrong" if one.wrong else "strange", "text": one.text}
            for one in found.findings
        ],
    }  # fmt: skip
