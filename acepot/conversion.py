"""Model files in another format, proven by reading them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from acepot.basis.species import SYMBOLS, species_indices
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.tablebytes import table_bytes
from acepot.io import modelfile
from acepot.io.files import about, replaced
from acepot.io.pace.read import model_of_text
from acepot.io.pace.write import YaceReport, yace_lines
from acepot.io.registry import NAMES, Format, identify, load
from acepot.laws import sample_structures
from acepot.lowering import lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.tables import Tables

Target = Literal["acepot", "yace", "tables"]
#: A .yace file may differ from its model by this part of the largest energy or force: far more
#: than tolerances and tables explain.
_BROKEN = 1e-4
#: Largest relative error of a radial function in a .yace file, unless one is asked for.
TOLERANCE = 1e-10
_NAMES = NAMES | {"tables": "tables of the native library"}


@dataclass(frozen=True)
class Conversion:
    """What was read and what was written.

    Args:
        source: format of the file that was read.
        target: of the file that was written.
        elements: chemical symbols.
        functions: number of basis functions.
        order: largest correlation order.
        size: of the new file in bytes.
        tolerance: asked of radial functions (yace).
        yace: how they were written (yace).
        energy_error: largest difference of the new file to the old one in eV/atom, on random
            structures (yace; an .acepot file gives the same tables bit for bit).
        force_error: likewise in eV/Å.
        members: of a committee that the new format has no place for.
    """

    source: Format
    target: Target
    elements: tuple[str, ...]
    functions: int
    order: int
    size: int
    tolerance: float | None = None
    yace: YaceReport | None = None
    energy_error: float = 0.0
    force_error: float = 0.0
    members: int = 0


def convert(
    source: str | Path,
    target: str | Path,
    to: Target | None = None,
    tolerance: float | None = None,
) -> Conversion:
    """Read a model file of any known format and write it in another.

    Nothing is written unless the new file, read back, is the same potential. Tables are for one
    engine, LAMMPS' pair_style acepot, and follow the version of the native library: keep the model.

    Args:
        source: `.acepot`, PACE's `.yace` or `.ace`, or ACE1's JSON, told apart by content.
        target: file to write.
        to: its format, "acepot", "yace" or "tables"; None: by its suffix.
        tolerance: of radial functions in a `.yace` file, relative to the largest value of each.

    Returns:
        What was read and written, and how much the new file differs.

    Raises:
        InputError: the new format cannot hold this model, or not to this tolerance.
        ModelFileError: the old file cannot be read.
        MissingDependency: tables, and the native library was not built.
    """
    kind = _target(target, to)
    if kind != "yace" and tolerance is not None:
        raise InputError("tolerance: for .yace files only; all others are exact")
    if Path(target).resolve() == Path(source).resolve():
        raise InputError(f"{target}: expected another file than the one that is read")
    model = load(source)
    with about(source):
        tables = lower(model)
    orders = [p.factors.shape[1] for p in tables.products]
    found = Conversion(
        identify(source), kind, model.elements, tables.functions, max(orders, default=0), 0
    )
    if kind == "yace":
        data, found = _yace(model, str(target), found, tolerance or TOLERANCE)
    elif kind == "tables":
        data = _native(tables)
    else:
        data = modelfile.model_bytes(model)
        if lower(load(data)).digest != tables.digest:
            raise ConvergenceError(f"{target}: does not give the same tables; nothing was written")
    with replaced(target, "wb") as file:
        file.write(data)
    return replace(found, size=len(data))


def tables_of(model: Model) -> bytes:
    """The byte form of a model's Tables, which the native library was seen to read.

    Raises:
        InputError: a model that the native library cannot evaluate.
        MissingDependency: the native library was not built.
    """
    return _native(lower(model))


def _native(tables: Tables) -> bytes:
    NativeEvaluator(tables, threads=1)  # raises if the library does not take these tables
    return table_bytes(tables)


def _target(target: str | Path, to: Target | None) -> Target:
    suffix = Path(target).suffix
    for kind in get_args(Target):
        if kind == (to or suffix.removeprefix(".")):
            found: Target = kind
            return found
    if to is not None:
        raise InputError(f"to: expected {', '.join(get_args(Target))}, got {to!r}")
    reason = " (.ace and ACE1's JSON are read only)" if suffix in (".ace", ".json") else ""
    raise InputError(
        f"{target}: expected a file that ends in .acepot, .yace or .tables, or --to "
        f"{'|'.join(get_args(Target))}, got {suffix or 'no suffix'}{reason}"
    )


def _yace(
    model: Model, target: str, found: Conversion, tolerance: float
) -> tuple[bytes, Conversion]:
    """The bytes of a .yace file and what is known about it."""
    lines, report = yace_lines(model, tolerance)
    text = "\n".join([*lines, ""])
    again = model_of_text(text, target)
    structures = apart(sample_structures(model, np.random.default_rng(0)), report.continued)
    old, new = (Potential(m).compute_all(structures) for m in (model, again))
    energy = force = scale = 0.0
    for structure, one, other in zip(structures, old, new, strict=True):
        e0 = model.e0[species_indices(model.numbers, structure.numbers)]
        energy = max(energy, abs(one.energy - other.energy) / len(structure))
        force = max(force, float(np.abs(one.forces - other.forces).max()))
        scale = max(scale, float(np.abs(one.energies - e0).max()), float(np.abs(one.forces).max()))
    if not max(energy, force) <= _BROKEN * max(scale, 1.0):
        raise ConvergenceError(
            f"{target}: read back, it differs by {energy:.1e} eV/atom and {force:.1e} eV/Å; "
            "nothing was written"
        )
    members = len(model.coefficients) - 1
    return text.encode(), replace(
        found,
        tolerance=tolerance,
        yace=report,
        energy_error=energy,
        force_error=force,
        members=members,
    )


def apart(structures: Sequence[Structure], shortest: Mapping[str, float]) -> list[Structure]:
    """Structures, inflated where a pair is closer than it may be.

    Args:
        structures: any.
        shortest: distances in Å by pair of elements, "O-Si".
    """
    found = []
    for structure in structures:
        edges = build(structure, max(shortest.values(), default=0.1))
        factor = 1.0
        for a, b, r in zip(
            structure.numbers[edges.centre],
            structure.numbers[edges.neighbour],
            np.linalg.norm(edges.vector, axis=1),
            strict=True,
        ):
            least = shortest.get(f"{SYMBOLS[a]}-{SYMBOLS[b]}", 0.0)
            factor = max(factor, 1.01 * least / float(r))
        found.append(
            replace(structure, positions=factor * structure.positions, cell=factor * structure.cell)
        )
    return found


def describe(source: str | Path, target: str | Path, done: Conversion) -> list[tuple[str, str]]:
    """Names and values that tell what a conversion did."""
    lines = [
        ("read", f"{source}: {NAMES[done.source]}, {' '.join(done.elements)}"),
        ("functions", f"{done.functions}, correlation order up to {done.order}"),
        ("written", f"{target}: {_NAMES[done.target]}, {done.size} bytes"),
    ]
    if done.yace is None:
        return [*lines, ("read back", "the same tables, bit for bit")]
    orders = ", ".join(f"{pair} {k}" for pair, k in done.yace.orders.items())
    if done.yace.error == 0.0:
        lines.append(("radial", f"as they were, {orders or 'polynomials of ACE.jl'}"))
    else:
        lines.append(("radial", f"Chebyshev functions: {orders}"))
        lines.append(("error", f"{done.yace.error:.1e} (tolerance {done.tolerance:.0e})"))
    for pair, r in done.yace.continued.items():
        lines.append(("continued", f"{pair} as a repulsion below {r:.4g} Å"))
    if done.members:
        lines.append(("left out", f"the committee of {done.members} members: .yace has no place"))
    agree = f"{done.energy_error:.1e} eV/atom and {done.force_error:.1e} eV/Å on random structures"
    return [*lines, ("read back", f"the same to {agree}")]
