"""`acepot VERB ...`: parse, call one library function, print."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from acepot import __version__
from acepot.errors import AceError

_VERBS = ("fit", "eval", "info", "check", "plot")
_EPILOG = """examples:
  acepot fit train.xyz --test test.xyz --out Si        fit with the defaults
  acepot fit fit.toml --out Si                         fit as a file says
  acepot eval Si/model.acepot test.xyz --report r.json errors on labelled data
  acepot info Si/model.acepot                          what is in a model file
  acepot check Si/model.acepot                         test it against the laws it must obey
  acepot plot Si/model.acepot test.xyz --out plots     parity plots and dimer curves
"""


class Parser(argparse.ArgumentParser):
    """Raw help texts, so that examples keep their lines."""

    def __init__(self, **options: object) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,  # type: ignore[arg-type]
        )


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from acepot.cli import check, eval, fit, info, plot  # noqa: A004 - the verb's own name

    top = Parser(prog="acepot", description=__doc__, epilog=_EPILOG)
    top.description = "The Atomic Cluster Expansion: fit potentials and try them."
    top.add_argument("--version", action="version", version=f"acepot {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for module in (fit, eval, info, check, plot):
        verb = module.add_to(verbs)
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.set_defaults(run=module.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: words after `acepot`; None: those of this process.

    Returns:
        Exit status: 0 done, 1 an error or a failed check, 2 wrong usage, 130 interrupted.
    """
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # Å, ε on a terminal without them
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        sys.stderr.write("\nacepot: stopped; files that were not complete are as they were\n")
        return 130
    except BrokenPipeError:
        return 1
    except AceError as error:
        if options.debug:
            raise
        sys.stderr.write(f"acepot: error: {_one_line(error)}\n")
        return 1
    except OSError as error:  # a full disk, say: nothing to report
        if options.debug:
            raise
        sys.stderr.write(f"acepot: error: {_one_line(error)}\n")
        return 1
    except Exception as error:
        if options.debug:
            raise
        sys.stderr.write(
            f"acepot: unexpected {type(error).__name__}: {_one_line(error)} "
            "(--debug shows where; please report it)\n"
        )
        return 1


def show(text: str) -> None:
    """Print lines at once, also into a pipe."""
    sys.stdout.write(_harmless(text) + "\n")
    sys.stdout.flush()


def _one_line(error: BaseException) -> str:
    return _harmless(" ".join(str(error).split()))


def _harmless(text: str) -> str:
    """The text with control characters written out: names in files must not steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
