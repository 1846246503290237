"""`acepot-ipi MODEL TEMPLATE ...`: a client for i-PI's <ffsocket>."""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import acepot
from acepot.errors import AceError
from acepot.units import IPI
from ipi_driver.client import Address, connect, serve
from ipi_driver.forcefield import ForceField, Precision, open_forcefield
from ipi_driver.protocol import Channel, ServerLost
from ipi_driver.template import are_flags

_EPILOG = """example (input.xml has <ffsocket mode='unix'> <address> silicon </address> ...):
  i-pi input.xml &
  acepot-ipi model.acepot start.extxyz --unix silicon

  acepot-ipi model.acepot start.extxyz --inet node7:31415 --threads 4
  acepot-ipi model.acepot start.extxyz --bench
  acepot-ipi --pes-path       the file for <ffdirect> <pes> custom </pes> and i-pi-driver-py

exit status: 0 the server said EXIT, or closed the connection when it had got every answer,
1 something is wrong with the input or the model, 2 wrong usage, 3 the server did not come, went
away within its work or fell silent, 130 stopped by Ctrl-C
"""
_LOG = logging.getLogger("ipi_driver")
#: Seconds that --bench measures for.
_MEASURED = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        arguments: words after `acepot-ipi`; None: those of this process.

    Returns:
        Exit status, as `--help` lists them.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="acepot-ipi: %(message)s")
    try:
        return _run(options)
    except KeyboardInterrupt:
        _LOG.error("stopped")
        return 130
    except (AceError, OSError) as error:
        if options.debug:
            raise
        _LOG.error("error: %s", _line(error))
        return 3 if isinstance(error, ServerLost) else 1
    except Exception as error:
        if options.debug:
            raise
        _LOG.error(
            "unexpected %s: %s (--debug shows where; please report it)",
            type(error).__name__,
            _line(error),
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="acepot-ipi",
        description="Evaluate an ACE potential for an i-PI server, one or many structures at once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="model file")
    add("template", metavar="TEMPLATE", help="file with one structure of the run, atoms in order")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("-u", "--unix", metavar="NAME", help="<address> of a unix socket")
    mode.add_argument(
        "--inet",
        type=_host_and_port,
        metavar="HOST:PORT",
        help="<address> and <port> of an inet socket, IPv6 as [::1]:PORT",
    )
    mode.add_argument("--bench", action="store_true", help="time the template without a server")
    add("--posterior", metavar="FILE", help="of the model: the energy is then E - TAU sigma")
    add("--tau", type=float, default=0.0, metavar="TAU", help="strength of that bias [%(default)s]")
    add("--charge", type=float, default=0.0, metavar="Q", help="total charge in e [%(default)g]")
    path = str(Path(__file__).with_name("pes.py"))
    add("--pes-path", action="version", version=path, help="print the path of i-PI's PES file")
    add("--prefix", default="/tmp/ipi_", metavar="PATH", help="of unix sockets [%(default)s]")
    add(
        "--pbc",
        type=_flags,
        metavar="FLAGS",
        help="periodic directions, such as TTF [as in TEMPLATE]",
    )
    add("--energies", action="store_true", help="extras: energies of the atoms")
    add(
        "-c",
        "--committee",
        action="store_true",
        help="extras: the committee, as ffcommittee reads it",
    )
    add("-t", "--threads", type=int, metavar="N", help="[OMP_NUM_THREADS, or all processors]")
    add(
        "--precision",
        choices=get_args(Precision),
        default="double",
        help="mixed: neighbours in single precision, the rest in double [double]",
    )
    add("--wait", type=_positive, default=60.0, metavar="S", help="for the server [%(default)g s]")
    add("--timeout", type=_positive, default=60.0, metavar="S", help="in a message [%(default)g s]")
    add("--idle", type=_positive, metavar="S", help="between messages [without limit]")
    add("--debug", action="store_true", help="show the traceback of an error")
    add("--version", action="version", version=f"acepot {acepot.__version__}")
    return parser


def _run(options: argparse.Namespace) -> int:
    address = _address(options)
    forcefield = open_forcefield(
        options.model,
        options.template,
        pbc=options.pbc,
        energies=options.energies,
        committee=options.committee,
        threads=options.threads,
        posterior=options.posterior,
        tau=options.tau,
        precision=options.precision,
        charge=options.charge,
    )
    template = forcefield.template
    periodic = " ".join(n for n, flag in zip("abc", template.pbc, strict=True) if flag)
    _LOG.info("%d atoms, %.60s", len(template), template.elements)
    _LOG.info("periodic along %s", periodic or "nothing: i-PI's cell is not used (see --pbc)")
    if address is None:
        sys.stdout.write(_bench(forcefield) + "\n")
        return 0
    with Channel(connect(address, options.wait), options.timeout, options.idle) as channel:
        _LOG.info("connected")
        serve(channel, forcefield)
    return 0


def _address(options: argparse.Namespace) -> Address | None:
    if options.unix is not None:
        return str(options.prefix + options.unix)
    inet: tuple[str, int] | None = options.inet
    return inet


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):  # an address of IPv6
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise argparse.ArgumentTypeError(
            "expected HOST:PORT such as localhost:31415, or [ADDRESS]:PORT with an "
            f"address of IPv6, got {text}"
        )
    return host, int(port)


def _flags(text: str) -> str:
    if not are_flags(text):
        raise argparse.ArgumentTypeError(f"expected three letters T or F such as TTF, got {text}")
    return text


def _bench(forcefield: ForceField) -> str:
    """Wall time of an evaluation of the template, conversions included."""
    first = forcefield.template.structure
    cells, positions = [first.cell.T / IPI.length], [first.positions / IPI.length]
    forcefield.compute(cells, positions)
    times: list[float] = []
    while sum(times) < _MEASURED or len(times) < 5:
        begin = time.perf_counter()
        forcefield.compute(cells, positions)
        times.append(time.perf_counter() - begin)
    median = 1e6 * statistics.median(times)
    return (
        f"{median:.1f} µs per evaluation, {median / len(first):.2f} µs per atom "
        f"({len(first)} atoms, median of {len(times)})"
    )


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def _line(error: BaseException) -> str:
    """The message on one line, control characters written out."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


if __name__ == "__main__":
    sys.exit(main())
