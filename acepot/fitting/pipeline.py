"""run_fit: the whole journey from labelled structures to a model, on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.irrep import SCALAR
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec, pair_number, resolve
from acepot.basis.species import SYMBOLS
from acepot.errors import InputError
from acepot.evaluate.native import NativeRowBuilder, processors
from acepot.evaluate.protocol import Quantity, Result
from acepot.fitting.assemble import StructureRows, assemble, in_threads, structure_rows
from acepot.fitting.config import FitConfig, load_config
from acepot.fitting.dataset import elements, reference_energies
from acepot.fitting.metrics import Errors, Report
from acepot.fitting.priors import prior
from acepot.fitting.problem import Accumulator
from acepot.fitting.restraint import applies, restraint_rows
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import solve
from acepot.io.datasets import read_structures
from acepot.io.labels import require_labels
from acepot.lowering import expansion, lower
from acepot.model import Model
from acepot.neighbours import build
from acepot.potential import Potential
from acepot.run.progress import Progress
from acepot.schema import from_mapping, to_mapping
from acepot.structure import Structure

Say = Callable[[str], None]
#: Structures whose design rows are kept to compare with the saved model afterwards.
_PROBES = 12


@dataclass(frozen=True, eq=False)
class Probe:
    """What the fit itself predicts for one structure: design rows times coefficients.

    Args:
        structure: a training structure.
        quantities: which of energy, forces and virial, in the order of the rows.
        predicted: all of them in one array, less E0.
    """

    structure: Structure
    quantities: tuple[Quantity, ...]
    predicted: np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Fit:
    """What `run_fit` returns.

    Args:
        model: the fitted model.
        solution: coefficients with their posterior.
        report: errors under "train" and "test", and how they came about.
        config: the configuration with every default resolved; it repeats the fit.
        train: training structures.
        test: test structures.
        train_results: the model's predictions for them.
        test_results: likewise.
        probes: predictions by design rows, for the check after saving.
    """

    model: Model
    solution: Solution
    report: dict[str, Any]
    config: FitConfig
    train: list[Structure]
    test: list[Structure]
    train_results: list[Result]
    test_results: list[Result]
    probes: list[Probe]


def run_fit(
    config: FitConfig | str | Path | Mapping[str, Any],
    *,
    say: Say | None = None,
    threads: int | None = None,
) -> Fit:
    """Fit a model.

    Args:
        config: a configuration, its TOML file, or the same as a mapping.
        say: called with lines for people; None: silent.
        threads: structures handled at once; None: one per processor.

    Returns:
        The model, its posterior, the report and the predictions.

    Raises:
        InputError: data or configuration are wrong; the message says what to change.
    """
    if isinstance(config, (str, Path)):
        config = load_config(config)
    elif isinstance(config, Mapping):
        config = from_mapping(FitConfig, config)
    quiet = say is None
    say = say or (lambda _line: None)
    threads = threads or processors()
    train, test = _read(config, say)
    config, spec, e0, origin = _choose(config, train, test)
    say(_basis_line(spec))
    blank = Model(spec, np.zeros(basis_size(spec)["total"]), np.array(list(e0.values())))
    built = expansion(spec)
    tables = lower(blank)
    # Threads work on structures of their own; those that find none help with one.
    builder = NativeRowBuilder(tables, max(1, threads // len(train)))

    def rows(structure: Structure) -> StructureRows:
        weights = config.weights_of(structure.config_type)
        return structure_rows(structure, blank, builder, config.data.fit, weights)

    accumulator = Accumulator(built.size)
    kept: list[StructureRows] = []
    chosen = set(np.linspace(0, len(train) - 1, min(_PROBES, len(train))).astype(int).tolist())

    def watched(blocks: Iterator[StructureRows]) -> Iterator[StructureRows]:
        for index, block in enumerate(blocks):
            if index in chosen:
                kept.append(block)
            yield block

    progress = None if quiet else Progress("assembling", len(train)).update
    assemble(watched(in_threads(rows, train, threads)), accumulator, progress)
    restrained = config.restraint.weight > 0 and applies(spec)
    if restrained:
        accumulator.add(*restraint_rows(spec, built, config.restraint))
    problem = accumulator.finish()
    say(f"solving: {problem.rows} rows, {problem.columns} functions, {config.solver.kind}")
    solution = solve(problem, prior(built, config.prior), config.solver)
    committee = None
    if config.committee.size:
        generator = np.random.default_rng(config.committee.seed)
        committee = solution.draw(config.committee.size, generator)
    model = replace(
        blank,
        coefficients=solution.coefficients,
        committee=committee,
        provenance=_provenance(config, train, test, origin, solution),
    )
    potential = Potential(model, threads=threads)
    train_results = potential.compute_all(train)
    test_results = potential.compute_all(test)
    report: dict[str, Any] = {"train": errors(train, train_results)}
    if test:
        report["test"] = errors(test, test_results)
    report["basis"] = basis_size(spec)
    report["e0"] = {s: {"energy": e0[s], "origin": origin[s]} for s in e0}
    report["fitted"] = list(config.data.fit)
    report["restraint"] = "on" if restrained else "off"
    report["solver"] = _solver_report(config, solution)
    report["tables"] = {"error": max(t.error for t in tables.radial)}
    probes = [
        Probe(block.structure, block.quantities, block.rows @ solution.coefficients)
        for block in kept
    ]
    return Fit(model, solution, report, config, train, test, train_results, test_results, probes)


def errors(structures: Sequence[Structure], results: Sequence[Result]) -> Report:
    """Errors by config type of predictions against all labels that are there."""
    sums = Errors()
    for structure, result in zip(structures, results, strict=True):
        energy, forces, virial = structure.energy, structure.forces, structure.virial
        sums.add(
            structure.config_type,
            len(structure),
            None if energy is None else result.energy - energy,
            None if forces is None else result.forces - forces,
            None if virial is None else result.virial - virial,
        )
    return sums.report()


def _read(config: FitConfig, say: Say) -> tuple[list[Structure], list[Structure]]:
    data = config.data
    sets: list[list[Structure]] = []
    for names in (data.train_files, data.test_files):
        structures: list[Structure] = []
        for name in names:
            found, count = read_structures(name, data.keys, config_type_key=data.config_type_key)
            say(str(count))
            require_labels(count, data.fit)
            structures += found
        sets.append(structures)
    train, test = sets
    if not train:
        raise InputError("data.train: the files hold no structure")
    if "virial" in data.fit and all(s.virial is None for s in train):
        raise InputError(
            "data.fit: virial is to be fitted, but no training structure has a virial or a stress; "
            "name their key (data.virial_key, data.stress_key) or fit without virial"
        )
    types = {s.config_type for s in (*train, *test)}
    if unknown := sorted(set(config.weights) - types - {"default"}):
        raise InputError(
            f"weights: no structure has the config type {', '.join(map(repr, unknown))}; "
            f"the data hold {', '.join(map(repr, sorted(types)))}"
        )
    ignored = [
        name
        for name, have in (("virial", any(s.virial is not None for s in train)),)
        if have and name not in data.fit
    ]
    say(
        f"fitting {', '.join(data.fit)}"
        + (f" ({', '.join(ignored)} labels are compared but not fitted)" if ignored else "")
    )
    return train, test


def _choose(
    config: FitConfig, train: list[Structure], test: list[Structure]
) -> tuple[FitConfig, BasisSpec, dict[str, float], dict[str, str]]:
    """The basis and E0 with everything written out."""
    found = elements([*train, *test])
    wanted = config.basis.elements
    if wanted and (missing := set(found) - set(wanted)):
        raise InputError(
            f"basis.elements: the data hold {', '.join(sorted(missing))}, "
            f"which is not among {list(wanted)}"
        )
    spec = resolve(replace(config.basis, elements=wanted or found))
    if spec.symmetries != (SCALAR,) or spec.constant:
        raise InputError("basis.total_l: energies are fitted with total_l = 0 and parity = 1")
    symbols = spec.elements
    cutoff = max(
        pair_number(table, a, b, "cutoff")
        for table in (spec.cutoff, spec.pair.cutoff)
        for a in symbols
        for b in symbols
    )
    e0, origin = reference_energies(train, symbols, config.e0, cutoff)
    return replace(config, basis=spec, e0=e0), spec, e0, origin


def _basis_line(spec: BasisSpec) -> str:
    sizes = basis_size(spec)
    parts = ", ".join(f"{n} {name}" for name, n in sizes.items() if name != "total")
    return f"basis: {sizes['total']} functions for {' '.join(spec.elements)} ({parts})"


def _provenance(
    config: FitConfig,
    train: list[Structure],
    test: list[Structure],
    origin: dict[str, str],
    solution: Solution,
) -> dict[str, Any]:
    """What a model remembers of its making: nothing that changes from run to run."""
    mapping = to_mapping(config)
    mapping["data"]["train"] = [Path(name).name for name in config.data.train_files]
    mapping["data"]["test"] = [Path(name).name for name in config.data.test_files]
    del mapping["basis"]  # the model holds it
    return {
        "fit": mapping,
        "structures": {"train": len(train), "test": len(test)},
        "atoms": {"train": sum(map(len, train)), "test": sum(map(len, test))},
        "shortest distances": _shortest(train),
        "e0 origin": origin,
        "solver": _solver_report(config, solution),
    }


def _shortest(structures: list[Structure]) -> dict[str, float]:
    """The shortest distance in Å of every pair of elements, looked for below 4 Å."""
    found: dict[str, float] = {}
    for structure in structures:
        edges = build(structure, 4.0)
        lengths = np.linalg.norm(edges.vector, axis=1)
        ends = structure.numbers[np.stack((edges.centre, edges.neighbour))]
        for a, b in np.unique(ends[:, ends[0] <= ends[1]], axis=1).T:
            name = f"{SYMBOLS[a]}-{SYMBOLS[b]}"
            least = float(lengths[(ends[0] == a) & (ends[1] == b)].min())
            found[name] = min(least, found.get(name, least))
    return dict(sorted(found.items()))


def _solver_report(config: FitConfig, solution: Solution) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": config.solver.kind, "noise variance": solution.noise}
    if solution.prior_variance is not None:
        values["prior variance"] = solution.prior_variance
    if solution.log_evidence is not None:
        values["log evidence"] = solution.log_evidence
    values |= {k: v for k, v in solution.report.items() if k != "solver"}
    # JSON has no infinity: a singular system's condition number becomes a word.
    return {
        k: str(v) if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()
    }
