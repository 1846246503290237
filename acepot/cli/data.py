"""`acepot data`: a look at data before they are fitted."""

from __future__ import annotations

import argparse
from pathlib import Path

from acepot.cli.options import add_keys, by_element, keys_by_option, label_keys
from acepot.cli.terminal import show
from acepot.errors import InputError
from acepot.report.evaluation import write_json
from acepot.survey.page import write
from acepot.survey.survey import survey
from acepot.survey.words import lines, report

_EPILOG = """What is looked at: labels and what is passed over, energies after E0, stresses against
-dE/dV of neighbouring frames, forces against a small model of them, duplicates, short contacts,
isolated atoms, and structures with extreme labels. docs/data.md says what each of them means.
The exit status is 1 if something cannot be right.

examples:
  acepot data train.xyz
  acepot data bulk.xyz surfaces*.xyz --test test.xyz --out data.html --report data.json
  acepot data-select pool.xyz --count 200 --out train.xyz
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("files", nargs="+", metavar="DATA", help="structures, or a 'pattern*.xyz'")
    verb.add_argument(
        "--test", action="append", metavar="FILE", help="test data, which must not be trained"
    )
    verb.add_argument("--out", metavar="PAGE.html", help="write a page with pictures")
    verb.add_argument("--report", metavar="R.json", help="write what was found to this file")
    verb.add_argument("--e0", metavar="ELEMENT=E,...", help="energy of the isolated atom in eV")
    add_keys(verb)
    verb.add_argument("--threads", type=int, metavar="N", help="structures at once (all cores)")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    for option, name in (("--out", options.out), ("--report", options.report)):
        if name and not Path(name).resolve().parent.is_dir():
            raise InputError(f"{option}: expected a file in a folder that exists, got {name}")
    with keys_by_option():
        found = survey(
            options.files,
            label_keys(options),
            test=options.test or (),
            e0=None if options.e0 is None else by_element("--e0", options.e0),
            threads=options.threads,
            say=show,
            watched=True,
        )
    show("\n".join(lines(found)))
    if options.out:
        write(found, options.out)
        show(f"written  {options.out}")
    if options.report:
        write_json(options.report, report(found))
        show(f"written  {options.report}")
    return 1 if found.wrong else 0
