"""Models, bases and the compiled evaluator in words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.choices import PairNumber, pair_number
from acepot.basis.embedding import Nonlinear
from acepot.basis.learned import LearnedBasis
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.native import (
    VARIABLE,
    NativeEvaluator,
    available_threads,
    built_instruction_sets,
    chosen_instruction_set,
    instruction_sets,
)
from acepot.io.files import about
from acepot.io.registry import load
from acepot.lowering import lower
from acepot.model import (
    AnyModel,
    BondModel,
    ChargeModel,
    FrictionModel,
    HamiltonianModel,
    Model,
    TensorModel,
)
from acepot.tables import Tables

Lines = list[tuple[str, str]]
#: What `load` may find: like isinstance, it takes a union of classes.
_ANY: Any = AnyModel


def describe_model(path: str | Path) -> Lines:
    """Names and values that tell what is in a model file."""
    model: AnyModel = load(path, _ANY)
    size = f"{Path(path).stat().st_size} bytes" if Path(path).is_file() else "a pipe"
    lines: Lines = [("file", f"{path} ({size})")]
    with about(path):
        lines += _describe_contents(model)
    return lines + _describe_provenance(model.provenance)


def _describe_contents(model: AnyModel) -> Lines:
    lines: Lines = []
    if isinstance(model, Model):
        lines += _describe_energy(model)
    elif isinstance(model, TensorModel):
        tables = lower(model)
        lines += [("kind", "tensors of sites"), *_describe_functions(model, tables)]
        lines += [*_describe_outputs(model), *_describe_tables(tables)]
    elif isinstance(model, HamiltonianModel):
        lines += _describe_hamiltonian(model)
    elif isinstance(model, FrictionModel):
        lines += _describe_friction(model)
    elif isinstance(model, ChargeModel):
        lines += _describe_charges(model)
    else:
        lines += [("kind", "tensors of bonds"), *describe_basis(model.basis)]
        lines += [*_describe_bonds(model), *_describe_outputs(model)]
    return lines


def _describe_charges(model: ChargeModel) -> Lines:
    """What the charges are, and the functions of energies and charges."""
    tables = lower(model.sites)
    lines: Lines = [("kind", f"energies with {model.kind} charges")]
    for symbol, s, j in zip(model.elements, model.widths, model.hardness, strict=True):
        hard = f", hardness {j:.4g} eV/e²" if model.kind == "equilibrated" else ""
        lines.append((f"charges {symbol}", f"width {s:.4g} Å{hard}"))
    lines += [*_describe_functions(model.sites, tables), *_describe_outputs(model.sites)]
    lines.append(("range", "any: charges interact at all distances"))
    return [*lines, *_describe_tables(tables)]


def _describe_friction(model: FrictionModel) -> Lines:
    """Couplings, one after the other, and the functions they are made of."""
    lines: Lines = [("kind", "friction, in amu/fs")]
    lines.append(("momentum", "conserved" if model.conserves_momentum else "not conserved"))
    for number, part in enumerate(model.parts, 1):
        block = "vectors" if part.is_vector else "matrices"
        told = f"{part.coupling}, {block}, momentum {part.momentum}, {part.channels} channels"
        lines += [(f"coupling {number}", told), ("acts on", " ".join(part.acts_on))]
        if part.bonds is not None:
            lines += [*describe_basis(part.bonds.basis), *_describe_bonds(part.bonds)]
            lines += _describe_outputs(part.bonds)
        if isinstance(part.sites, TensorModel):
            lines += [*_describe_functions(part.sites, lower(part.sites))]
            lines += _describe_outputs(part.sites)
    return lines


def _describe_energy(model: Model) -> Lines:
    tables = lower(model)
    lines = _describe_functions(model, tables)
    lines += [(f"E0 {s}", f"{e:.8g} eV") for s, e in zip(model.elements, model.e0, strict=True)]
    if model.nonlinear is not None:
        lines += _describe_nonlinear(model.nonlinear, model.numbers)
    lines += [("committee", _members(len(model.coefficients))), *_describe_tables(tables)]
    lines.append(("evaluator", f"native, {NativeEvaluator(tables).instruction_set}"))
    return lines


def _describe_functions(model: Model | TensorModel, tables: Tables) -> Lines:
    """The basis of a model, and how far it reaches."""
    if isinstance(model.basis, BasisSpec):
        lines = describe_basis(model.basis)
    elif isinstance(model.basis, LearnedBasis):
        lines = describe_basis(model.basis.spec)
        channels, many = model.basis.weights.shape[2:]
        each = "for every l" if model.basis.by_l else "for all l"
        lines.append(("learned", f"{channels} combinations of {many} radial functions, {each}"))
    else:
        lines = [("elements", " ".join(SYMBOLS[z] for z in model.numbers))]
        lines.append(("basis", f"{tables.functions} functions listed one by one"))
    reach = sorted({f"{r:.4g}" for r in tables.cutoff.ravel()}, key=float)
    return [*lines, ("interacts to", f"{', '.join(reach)} Å")]


def _describe_outputs(model: TensorModel | BondModel) -> Lines:
    """What a model of tensors gives, for each (L, parity), and in which unit."""
    lines: Lines = []
    for irrep, names, c in zip(model.irreps, model.names, model.coefficients, strict=True):
        lines.append((f"outputs {irrep}", f"{', '.join(names)} (of {c.shape[2]} functions)"))
    lines.append(("unit", model.unit or "none"))
    return [*lines, ("committee", _members(len(model.coefficients[0])))]


def _describe_hamiltonian(model: HamiltonianModel) -> Lines:
    """Orbitals of a Hamiltonian and the functions of its blocks."""
    lines: Lines = [("kind", "Hamiltonian in atomic orbitals")]
    for symbol, letters in model.orbitals.shells.items():
        held = f", {model.electrons[symbol]:g} electrons" if model.electrons else ""
        lines.append((f"orbitals {symbol}", f"{' '.join(letters)}{held}"))
    parts: dict[str, TensorModel | BondModel | None] = {
        "onsite": model.onsite,
        "hopping": model.hopping,
        "overlap": model.overlap,
    }
    for name, part in parts.items():
        if part is None:
            lines.append((name, "none: orbitals of different atoms are orthonormal"))
            continue
        used = sum(int(np.count_nonzero(c[0])) for c in part.coefficients)
        lines.append((name, f"{used} coefficients, {', '.join(map(str, part.irreps))}"))
    lines += [(f"hopping {key}", value) for key, value in _describe_bonds(model.hopping)]
    members = len(model.onsite.coefficients[0])
    lines.append(("repulsion", "none" if model.repulsion is None else "yes: energies and forces"))
    return [*lines, ("committee", _members(members))]


def _describe_bonds(model: BondModel) -> Lines:
    bonds, symbols = model.bonds, model.basis.elements
    return [
        ("bonds", f"{bonds.degree} radial functions, l up to {bonds.max_l}"),
        ("bonds radial", bonds.radial.title),
        ("bonds cut-offs", _by_pair(bonds.cutoff, symbols)),
    ]


def _describe_tables(tables: Tables) -> Lines:
    terms = sum(len(p.factors) for p in tables.products)
    return [
        ("products", f"{terms} of {len(tables.a_l)} one-particle functions"),
        ("tables", f"largest error {max(t.error for t in tables.radial):.1e}"),
        ("digest", tables.digest),
    ]


def _describe_provenance(provenance: Mapping[str, Any]) -> Lines:
    lines: Lines = []
    for name, value in provenance.items():
        if isinstance(value, dict) and name != "fit":
            text = ", ".join(f"{k} {_short(v)}" for k, v in value.items())
            lines.append((name, text))
        elif not isinstance(value, dict):
            lines.append((name, _short(value)))
    return lines


def _members(count: int) -> str:
    """Of a committee: the first member is the model itself."""
    return f"{count - 1} members" if count > 1 else "none"


def _by_pair(lengths: PairNumber, symbols: tuple[str, ...]) -> str:
    pairs = [
        f"{a}-{b} {pair_number(lengths, a, b, 'cutoff'):.4g}" for a in symbols for b in symbols
    ]
    return f"{', '.join(pairs)} Å"


def describe_native() -> Lines:
    """What the compiled evaluator uses, and what else there is.

    Raises:
        MissingDependency: it was not built.
        InputError: the environment variable forces an instruction set that is not there.
    """
    forced, chosen, here = os.environ.get(VARIABLE), chosen_instruction_set(), instruction_sets()
    if chosen not in here:
        raise InputError(f"{VARIABLE}: expected one of {', '.join(here)}, got {chosen!r}")
    why = f"forced by {VARIABLE}" if forced else f"the best; {VARIABLE} forces another"
    threads = os.environ.get("OMP_NUM_THREADS", "")
    given = f"OMP_NUM_THREADS={threads}" if threads else "all processors; OMP_NUM_THREADS sets them"
    return [
        ("instruction set", f"{chosen} ({why})"),
        ("in this build", ", ".join(built_instruction_sets())),
        ("on this machine", ", ".join(here)),
        ("threads", f"{available_threads()} ({given})"),
    ]


def describe_basis(spec: BasisSpec) -> Lines:
    """What a resolved basis is, and how large."""
    sizes = basis_size(spec)
    symbols = spec.elements
    kinds = ", ".join(f"{count} {name}" for name, count in sizes.items() if name != "total")
    return [
        ("elements", " ".join(symbols)),
        ("functions", f"{sizes['total']} ({kinds})"),
        ("formulation", spec.formulation),
        *([("sums A", "over neighbours of all elements")] if spec.together else []),
        ("radial", spec.radial.title),
        ("cut-offs", _by_pair(spec.cutoff, symbols)),
    ]


def _describe_nonlinear(nonlinear: Nonlinear, numbers: tuple[int, ...]) -> Lines:
    lines: Lines = []
    for z, one in zip(numbers, nonlinear.embeddings, strict=True):
        parts = zip(one.weights, one.exponents, strict=True)
        terms = " + ".join(f"{w:g} F_{m:g}" for w, m in parts)
        lines.append((f"energy {SYMBOLS[z]}", f"{terms}, {one.kind}"))
    return [*lines, ("repulsion", nonlinear.mode)]


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)
