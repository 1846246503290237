"""i-PI: the numbers in its memory (its text output rounds), by one of its forcefields.

i-PI runs in this process and has one system and one forcefield for each case; for sockets a second
process holds the clients. Cells are turned. i-PI keeps the upper triangle of a virial.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sysconfig
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from boxes import Box, boxed
from cases import Case, Numbers, read_cases, route_options, write_numbers
from ipi.scripting import InteractiveSimulation
from ipi.utils.softexit import softexit
from ipi.utils.units import unit_to_user

from acepot.basis.species import SYMBOLS
from ipi_driver.client import connect, serve
from ipi_driver.forcefield import open_forcefield
from ipi_driver.protocol import Channel

#: Å of vacuum: i-PI's cells have a volume, periodic or not.
ROOM = 10.0
#: Seconds after which a client gives up.
PATIENCE = 120.0
SYSTEM = """<system prefix='{name}'>
  <initialize nbeads='{beads}'> <file mode='xyz'> {name}.extxyz </file> </initialize>
  <forces> <force forcefield='{name}'/> </forces>
  <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
</system>"""


def template(case: Case, box: Box) -> str:
    """A file that both acepot and i-PI read."""
    cell = " ".join(repr(x) for x in box.cell.ravel().tolist())
    columns = " ".join(repr(x) for x in box.cell.T.ravel().tolist())
    flags = " ".join("T" if flag else "F" for flag in case.pbc)
    head = (
        f'Lattice="{cell}" Properties=species:S:1:pos:R:3 pbc="{flags}" '
        f'ipi="CELL(H): {columns} cell{{angstrom}} positions{{angstrom}}"'
    )
    rows = zip(case.numbers, box.positions.tolist(), strict=True)
    lines = [f"{SYMBOLS[z]} {x!r} {y!r} {w!r}" for z, (x, y, w) in rows]
    return "\n".join([str(len(lines)), head, *lines, ""])


@cache
def pes_path() -> str:
    program = Path(sysconfig.get_path("scripts")) / "acepot-ipi"
    done = subprocess.run([program, "--pes-path"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def forcefield(name: str, model: Path, kind: str) -> str:
    if kind == "ffdirect":
        return f"""<ffdirect name='{name}'>
          <pes> custom </pes> <pes_path> {pes_path()} </pes_path>
          <parameters> {{template: {name}.extxyz, model: {model}, threads: 1}} </parameters>
        </ffdirect>"""
    batch = "<batch_size> 2 </batch_size>" if kind == "batch" else ""
    return f"""<ffsocket name='{name}' mode='unix'>
      <address> {name} </address> <latency> 1e-3 </latency> {batch}
    </ffsocket>"""


def clients(jobs: list[tuple[str, str]]) -> None:
    """A client for every socket, what `acepot-ipi` runs."""

    def run(job: tuple[str, str]) -> int:
        name, model = job
        field = open_forcefield(model, f"{name}.extxyz", threads=1)
        with Channel(connect(f"{Path.cwd()}/{name}", PATIENCE), PATIENCE, PATIENCE) as channel:
            return serve(channel, field)

    with ThreadPoolExecutor(len(jobs)) as pool:
        try:
            evaluated = list(pool.map(run, jobs))
        except BaseException:
            traceback.print_exc()
            os.kill(os.getppid(), signal.SIGKILL)  # i-PI would wait for ever
            raise
    if min(evaluated) < 1:
        raise SystemExit("a client had nothing to do")


@contextmanager
def served(jobs: list[tuple[str, str]]):
    process = multiprocessing.get_context("spawn").Process(target=clients, args=(jobs,))
    process.start()
    yield
    process.join(PATIENCE)
    if process.exitcode != 0:
        raise SystemExit(f"the process of the clients ended with {process.exitcode}")


def evaluate(xml: str, boxes: list[Box]) -> list[Numbers]:
    """Run i-PI's first evaluation; what it holds for the last bead, by its own constants."""
    simulation = InteractiveSimulation(xml)
    angstrom = unit_to_user("length", "angstrom", 1.0)
    ev = unit_to_user("energy", "electronvolt", 1.0)
    found = []
    for system, box in zip(simulation.syslist, boxes, strict=True):
        forces = np.reshape(system.forces.f[-1], (-1, 3)) * ev / angstrom
        kept = np.array(system.forces.virs[-1])
        virial = ev * (np.triu(kept) + np.triu(kept, 1).T)
        energy = ev * float(system.forces.pots[-1])
        found.append(Numbers(energy, box.vectors_back(forces), box.tensor_back(virial)))
    with suppress(SystemExit):
        softexit.trigger(status="success")
    return found


def main() -> None:
    options = route_options(__doc__)
    options.add_argument("--kind", choices=("ffdirect", "unix", "batch"), default="unix")
    chosen = options.parse_args()
    target, cases = chosen.numbers.absolute(), read_cases(chosen.folder.absolute())
    boxes = [boxed(case, ROOM) for case in cases]
    beads = 2 if chosen.kind == "batch" else 1
    with tempfile.TemporaryDirectory(prefix="ace") as folder:  # short: paths of sockets are
        os.chdir(folder)
        parts, jobs = [], []
        for k, (case, box) in enumerate(zip(cases, boxes, strict=True)):
            Path(f"c{k}.extxyz").write_text(template(case, box))
            parts.append(forcefield(f"c{k}", case.model, chosen.kind))
            jobs.append((f"c{k}", str(case.model)))
        parts += [SYSTEM.format(name=f"c{k}", beads=beads) for k in range(len(cases))]
        xml = (
            f"<simulation verbosity='quiet' sockets_prefix='{folder}/'> "
            f"<output prefix='all'/> {' '.join(parts)} </simulation>"
        )
        if chosen.kind == "ffdirect":
            found = evaluate(xml, boxes)
        else:
            with served(jobs):
                found = evaluate(xml, boxes)
        os.chdir("/")
    write_numbers(target, found)


if __name__ == "__main__":
    main()
