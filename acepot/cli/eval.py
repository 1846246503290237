"""`acepot eval`: a model on labelled data."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.options import add_keys, add_precision, keys_by_option, label_keys
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.io.structures import extxyz
from acepot.report.evaluation import evaluate_file, write_json
from acepot.report.metrics import table
from acepot.report.reliability import stated_on
from acepot.report.worst import worst

_EPILOG = """examples:
  acepot eval Si/model.acepot Si_test.xyz
  acepot eval Si/model.acepot Si_test.xyz --report report.json --out predictions.extxyz
  acepot eval Si/model.acepot Si_test.xyz --uncertainty --reliability reliability.png
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model file")
    verb.add_argument("data", metavar="DATA", help="structures")
    verb.add_argument("--report", metavar="R.json", help="write the errors to this file")
    verb.add_argument("--out", metavar="FILE.extxyz", help="write the predictions to this file")
    verb.add_argument(
        "--uncertainty",
        action="store_true",
        help="how often stated intervals hold, of a fit with committee.calibrate",
    )
    verb.add_argument(
        "--reliability", metavar="FILE.png", help="draw that; with --uncertainty, which it means"
    )
    add_keys(verb)
    verb.add_argument("--threads", type=int, metavar="N", help="structures at once (all cores)")
    add_precision(verb)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    _check_targets(options)
    stating = options.uncertainty or options.reliability is not None
    with keys_by_option():
        done = evaluate_file(
            options.model,
            options.data,
            label_keys(options),
            need_labels=options.report is not None or not options.out or stating,
            say=show,
            threads=options.threads,
            precision=options.precision,
        )
    held = ""
    if stating:
        held = stated_on(done, options.model, options.threads, options.reliability)
    if options.out:
        extxyz.write_structures(
            options.out,
            done.structures,
            energies=[r.energy for r in done.results],
            forces=[r.forces for r in done.results],
            virials=[r.virial for r in done.results],
        )
        show(f"predictions: {options.out}")
    if options.report:
        write_json(options.report, done.report)
    if options.report or not options.out:
        show(table(done.report["data"]))
        if line := worst(done.structures, done.results, done.potential.compute_all):
            show(line)
    if held:
        show(f"\nstated intervals, per cent of errors inside\n{held}")
    return 0


def _check_targets(options: argparse.Namespace) -> None:
    """Find out before the work that a file cannot be written or is one that is read.

    Raises:
        InputError: it is so.
    """
    used = {Path(name).resolve(): name for name in (options.model, options.data)}
    for option, name in (
        ("--out", options.out),
        ("--report", options.report),
        ("--reliability", options.reliability),
    ):
        if not name:
            continue
        target = Path(name).resolve()
        if target in used:
            raise InputError(f"{option}: {name} is already used as {used[target]}")
        if not target.parent.is_dir():
            raise InputError(f"{option}: expected a file in a folder that exists, got {name}")
        used[target] = name
