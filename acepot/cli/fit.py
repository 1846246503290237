"""`acepot fit`: data in, a model folder out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from acepot.basis.choices import same_both_ways
from acepot.basis.spec import BasisSpec
from acepot.cli.options import (
    add_keys,
    by_element,
    in_options,
    keys_by_option,
    label_keys,
    numbers,
    pair_number,
)
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.fitting.config import Committee, Data, FitConfig, LearnedRadials, Restraint, load_config
from acepot.fitting.folder import WORST, fit_to_folder
from acepot.fitting.solvers import BLR, Solver
from acepot.report.metrics import table
from acepot.report.worst import largest
from acepot.schema import from_mapping
from acepot.uncertainty.coverage import coverage_table

#: Squeezed cells of --repulsive: none of the models of one and two elements that were tried needed
#: more.
_CELLS = 100

_EPILOG = """Labels are found by name (REF_energy, REF_forces, ... first) and listed for every file.
Without --degree, --cutoff and --r0 the basis is chosen from the data and printed; small models
tell whether 2.5 r0 or 2 r0 is the better cut-off in crystals. What the fit costs is told before
it begins, and refused where it does not fit in the memory.
DIR then holds model.acepot, report.json, fit.toml (which repeats this fit), worst.extxyz (the
frames with the largest errors), the plots, report.html with everything on one page, and
structures.chemiscope.json.gz, whose atoms and errors chemiscope.org shows; with --calibrate also
posterior.acepot, which knows how sure the model is.
Stresses and virials are fitted if they are consistent with energies and forces, which is said.
A long fit that is stopped, or killed, goes on when the same command is given again.

examples:
  acepot fit Si_train.xyz --test Si_test.xyz --out Si
  acepot fit bulk.xyz surfaces.xyz --test 0.1 --out Si
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument(
        "source", nargs="+", metavar="CONFIG.toml|TRAIN",
        help="a configuration, or the data: one file, several, or a 'pattern*.xyz'",
    )  # fmt: skip
    verb.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    verb.add_argument(
        "--test", action="append", metavar="FILE|FRACTION",
        help="data to predict, not to fit: a file or 'pattern*.xyz' (given once or several times), "
        "or a part of the data such as 0.1",
    )  # fmt: skip
    verb.add_argument("--order", type=int, metavar="N", help="correlation order (3)")
    verb.add_argument("--degree", metavar="D[,D...]", help="total degree, or one per order")
    verb.add_argument("--cutoff", metavar="R|PAIR=R,...", help="cut-off in Å: 5.5, Si-O=4.2")
    verb.add_argument("--r0", metavar="R|PAIR=R,...", help="typical distance in Å: 2.3, Si-O=1.6")
    verb.add_argument("--e0", metavar="ELEMENT=E,...", help="energy of the isolated atom in eV")
    verb.add_argument(
        "--solver",
        choices=tuple(Solver.kinds),
        help="blr (default), qr: damped least squares, or others (docs/fit_toml.md)",
    )
    verb.add_argument(
        "--virial",
        action=argparse.BooleanOptionalAction,
        help="fit stresses or virials, or not (those that agree with energies and forces)",
    )
    add_keys(verb)
    verb.add_argument(
        "--accept-labels", action="store_true", help="fit labels that seem wrong as they are"
    )
    verb.add_argument("--threads", type=int, metavar="N", help="structures at once (all cores)")
    verb.add_argument(
        "--calibrate", action="store_true", help="state standard deviations; docs/uncertainty.md"
    )
    verb.add_argument(
        "--repulsive", action="store_true",
        help="fit artificial squeezed cells, too, so that close atoms repel each other",
    )  # fmt: skip
    verb.add_argument(
        "--learn", action="store_true", help="learn the radial functions, too; docs/fit_toml.md"
    )
    verb.add_argument("--no-plots", action="store_true", help="draw nothing")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    if is_toml(options.source):
        return _run(options)
    try:
        with keys_by_option():
            return _run(options)
    except InputError as error:
        raise InputError(in_options(str(error), options)) from error


def is_toml(source: Sequence[str]) -> bool:
    """Whether a configuration is given, and no data.

    Raises:
        InputError: one beside other files.
    """
    found = [name for name in source if Path(name).suffix == ".toml"]
    if found and len(source) > 1:
        others = ", ".join(name for name in source if name != found[0])
        raise InputError(f"{found[0]}: a TOML file names all data; got {others} beside it")
    return bool(found)


def _run(options: argparse.Namespace) -> int:
    fit = fit_to_folder(
        configuration(options),
        options.out,
        say=show,
        threads=options.threads,
        plots=not options.no_plots,
    )
    for name, found in fit.deviations.items():
        show("\n" + "\n".join(filter(None, [name, table(fit.report[name]), largest(found)])))
    for part, stated in fit.report.get("uncertainty", {}).items():
        show(f"\nstated intervals, per cent of errors inside: {part}\n{coverage_table(stated)}")
    show(f"\nthe worst frames, with predictions: {Path(options.out) / WORST}")
    if warnings := fit.report["warnings"]:
        show("\nsaid before the fit:\n" + "\n".join(f"warning: {line}" for line in warnings))
    show(f"\nsaved, reloaded and compared: {Path(options.out) / 'model.acepot'}")
    return 0


def configuration(options: argparse.Namespace) -> FitConfig:
    """The configuration that the words on the command line mean.

    Raises:
        InputError: options beside a TOML file, which would contradict it.
    """
    own = {
        "--test": options.test,
        "--order": options.order,
        "--degree": options.degree,
        "--cutoff": options.cutoff,
        "--r0": options.r0,
        "--e0": options.e0,
        "--solver": options.solver,
        "--virial": options.virial,
        "--keys": options.keys,
        "--ignore": options.ignore,
        "--units": options.units,
        "--accept-labels": options.accept_labels or None,
        "--learn": options.learn or None,
        "--repulsive": options.repulsive or None,
        "--calibrate": options.calibrate or None,
    }
    if is_toml(options.source):
        (path,) = options.source
        if given := [name for name, value in own.items() if value is not None]:
            raise InputError(
                f"{', '.join(given)}: not together with a TOML file; write it into {path}"
            )
        return load_config(path)
    basis = BasisSpec(order=3 if options.order is None else options.order)
    if options.degree is not None:
        basis = replace(basis, degree=numbers("--degree", options.degree))
    if options.cutoff is not None:
        basis = replace(basis, cutoff=pair_number("--cutoff", options.cutoff))
    if options.r0 is not None:
        basis = replace(basis, r0=pair_number("--r0", options.r0))
    basis = replace(basis, bonds_once=same_both_ways(basis) and not options.learn)
    data = data_of(options, _observables(options.virial))
    chosen = {"kind": options.solver or BLR.kind}
    solver = from_mapping(Solver, chosen)  # type: ignore[type-abstract]  # makes one of its kinds
    e0 = None if options.e0 is None else by_element("--e0", options.e0)
    committee = Committee(calibrate=options.calibrate)
    return FitConfig(
        data, basis, e0=e0, solver=solver, committee=committee,
        restraint=Restraint(cells=_CELLS if options.repulsive else 0),
        learned=LearnedRadials() if options.learn else None,
    )  # fmt: skip


def data_of(options: argparse.Namespace, observables: tuple[str, ...] | None) -> Data:
    """The data that the command line names.

    Args:
        options: with source, test, accept_labels and those of labels.
        observables: that are fitted; None: as the data have them.
    """
    keys = label_keys(options)
    files, fraction = _tested(options.test or [])
    return Data(
        train=options.source[0] if len(options.source) == 1 else tuple(options.source),
        test=files[0] if len(files) == 1 else tuple(files),
        test_fraction=fraction,
        energy_key=keys.energy,
        forces_key=keys.forces,
        stress_key=keys.stress,
        virial_key=keys.virial,
        fit=observables,
        ignore=keys.ignore,
        units=dict(keys.units),
        accept_labels=options.accept_labels,
    )


def _tested(given: Sequence[str]) -> tuple[list[str], float]:
    """Files of test data, and the part of the training data that is test data as well.

    Raises:
        InputError: two parts, or one that is none.
    """
    files, parts = [], []
    for word in given:
        try:
            parts.append(float(word))
        except ValueError:
            files.append(word)
        else:
            if Path(word).exists():
                parts.pop()
                files.append(word)
    if len(parts) > 1 or any(not 0 < part < 1 for part in parts):
        raise InputError(
            f"--test: expected files, or one part of the data between 0 and 1, got "
            f"{' '.join(given)}"
        )
    return files, parts[0] if parts else 0.0


def _observables(virial: bool | None) -> tuple[str, ...] | None:
    """What is fitted where the command line says so."""
    if virial is None:
        return None
    return ("energy", "forces", "virial") if virial else ("energy", "forces")
