"""`acepot md` in i-PI: its own steps, in this process, with the potential as ffdirect.

Langevin thermostat in the splitting BAOAB; npt with the isotropic barostat of Bussi, Zykova-Timan
and Parrinello or that of Martyna, Tobias and Klein, with a Langevin thermostat of its own. A model
of friction takes the place of the thermostat, with i-PI's own random numbers. The
state is i-PI's RESTART with every digit: a run that goes on from it is the same bit by bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from acepot.errors import InputError, MissingDependency
from acepot.md.engine import EngineKind, Floats, Phase, Sample, Task
from acepot.units import IPI

from ipi_driver.friction import couple  # isort: skip

try:
    from ipi.engine.simulation import Simulation
    from ipi.inputs.simulation import InputSimulation
    from ipi.utils.mathtools import h2abc_deg
    from ipi.utils.units import unit_to_internal
except ImportError as error:
    raise MissingDependency("acepot md needs i-PI: pip install acepot[ipi]") from error

_TRAJECTORY = "trajectory.xyz"
#: More than any run has; the loop is elsewhere.
_STEPS = 2_100_000_000
#: Å of vacuum around atoms without a cell, for i-PI always has one.
_VACUUM = 50.0
#: i-PI's anisotropic mode is for stresses; its flexible one is for pressures.
_BAROSTATS = {
    "isotropic": "mode='isotropic'>",
    "anisotropic": "mode='flexible'> <hfix> [offdiagonal] </hfix>",
    "full": "mode='flexible'>",
}
_FEMTOSECOND = float(unit_to_internal("time", "femtosecond", 1.0))
_VELOCITY = 1 / IPI.length / _FEMTOSECOND
_DALTON = float(unit_to_internal("mass", "dalton", 1.0))


class IpiEngine:
    """One stage of a simulation in i-PI.

    Args:
        task: what to simulate.
        state: file to go on from; None: from the start.
    """

    def __init__(self, task: Task, state: Path | None) -> None:
        self._task = task
        self._symbols = task.symbols
        template = task.folder / "template.extxyz"
        task.write_structure(template)
        xml = _input(task, template)
        if state is None:
            (task.folder / "input.xml").write_text(xml, encoding="utf-8")
        # read_only leaves signals, RESTART and outputs to `acepot md`.
        self._simulation = Simulation.load_from_xml(
            xml if state is None else _restarted(state, xml), read_only=True
        )
        for forcefield in self._simulation.fflist.values():
            forcefield.bind(self._simulation.output_maker)
            forcefield.start()
        (self._system,) = self._simulation.syslist
        if task.ensemble.friction_model is not None:
            couple(self._system, task)
        if task.ensemble.cell == "anisotropic":
            _hold_angles(self._system.motion.barostat)
        self._step = int(self._simulation.step)
        self._file = (task.folder / _TRAJECTORY).open("a", encoding="utf-8")

    def advance(self, steps: int) -> None:
        """Go on by a number of steps."""
        for step in range(self._step, self._step + steps):
            if self._task.ramps:
                self._aim(*self._task.targets(step + 1))
            self._simulation.run_step(step)
        self._step += steps

    def _aim(self, kelvin: float, pressure: float) -> None:
        ensemble = self._system.ensemble
        ensemble.temp = unit_to_internal("temperature", "kelvin", kelvin)
        if self._task.ensemble.kind == "npt":
            ensemble.pext = unit_to_internal("pressure", "gigapascal", pressure)

    def sample(self) -> Sample:
        """The present energies, virial and volume."""
        system = self._system
        virial = float(np.trace(system.forces.vir)) * IPI.energy
        volume = float(system.cell.V) * IPI.length**3 if self._task.periodic else 0.0
        momenta, masses = np.array(system.beads.p[0]), np.array(system.beads.m3[0])
        kinetic = 0.5 * float(momenta @ (momenta / masses)) * IPI.energy
        return Sample(float(system.forces.pot) * IPI.energy, kinetic, virial, volume)

    def phase(self) -> Phase:
        """The present positions, velocities and cell."""
        beads = self._system.beads
        positions = np.array(beads.q[0]).reshape(-1, 3) * IPI.length
        velocities = np.array(beads.p[0] / beads.m3[0]).reshape(-1, 3) / _VELOCITY
        return Phase(positions, velocities, np.array(self._system.cell.h).T * IPI.length)

    def write_frame(self) -> None:
        """Append the present positions to the trajectory: extended XYZ, and i-PI's own form."""
        phase = self.phase()
        self._file.write(f"{len(self._symbols)}\n{self._comment(phase.cell)}\n")
        for symbol, (x, y, z) in zip(self._symbols, phase.positions.tolist(), strict=True):
            self._file.write(f"{symbol:2} {x:17.9f} {y:17.9f} {z:17.9f}\n")
        self._file.flush()

    def _comment(self, cell: Floats) -> str:
        """What programs look for: a Lattice, and in quotes what i-PI's own tools do."""
        lattice = " ".join(f"{x:.9f}" for x in cell.ravel().tolist())
        lattice = f'Lattice="{lattice}" ' if any(self._task.pbc) else ""
        pbc = " ".join("FT"[periodic] for periodic in self._task.pbc)
        abc = " ".join(f"{x:.5f}" for x in h2abc_deg(cell.T))
        own = f"# CELL(abcABC): {abc} Step: {self._step} Bead: 0 positions{{angstrom}} "
        return (
            f'{lattice}Properties=species:S:1:pos:R:3 pbc="{pbc}" step={self._step} '
            f'ipi="{own}cell{{angstrom}} "'
        )

    def save(self, path: Path) -> None:
        """Write i-PI's RESTART."""
        status = InputSimulation()
        status.store(self._simulation)
        status.step.store(self._step)
        path.write_text(status.write(name="simulation"), encoding="utf-8")

    def close(self) -> None:
        """Close the trajectory and stop the forcefield."""
        self._simulation.stop()
        self._file.close()


def _hold_angles(barostat: Any) -> None:
    """i-PI holds what hfix names against forces, but not against its own thermostat."""
    step = barostat.thermostat.step

    def held() -> None:
        step()
        barostat.p = barostat.p * barostat.hmask

    barostat.thermostat.step = held


def _restarted(state: Path, xml: str) -> str:
    """A RESTART with the forcefield of a new input: the folder may have moved."""
    try:
        restart = ElementTree.fromstring(state.read_text(encoding="utf-8"))
        old = restart.find("ffdirect")
        new = ElementTree.fromstring(xml).find("ffdirect")
        if old is None or new is None:
            raise InputError(f"{state}: expected a RESTART of i-PI with an ffdirect")
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"{state}: not a RESTART of i-PI: {error}") from error
    restart.insert(list(restart).index(old), new)
    restart.remove(old)
    return ElementTree.tostring(restart, encoding="unicode")


def _input(task: Task, template: Path) -> str:
    """The input of i-PI."""
    pes = Path(__file__).with_name("pes.py")
    ensemble = task.ensemble
    charge = f", charge: {task.charge!r}" if task.charge else ""
    pressure = f"<pressure units='gigapascal'> {ensemble.pressure!r} </pressure>"
    return f"""<simulation verbosity='quiet' threading='False' floatformat='%25.17e'>
  <output prefix='md'/>
  <total_steps> {_STEPS} </total_steps>
  <prng> <seed> {task.seed()} </seed> </prng>
  <ffdirect name='acepot'>
    <pes> custom </pes> <pes_path> {_text(pes)} </pes_path>
    <parameters> {{model: {_text(task.model.resolve())}, template: {_text(template.resolve())},
      threads: {task.config.run.threads},
      precision: {task.config.run.precision}{charge}}} </parameters>
  </ffdirect>
  <system>
    <forces> <force forcefield='acepot'/> </forces>
    <ensemble>
      <temperature units='kelvin'> {ensemble.temperature!r} </temperature>
      {pressure if ensemble.kind == "npt" else ""}
    </ensemble>
    {_motion(task)}
    {_beads(task)}
  </system>
</simulation>
"""


def _motion(task: Task) -> str:
    ensemble = task.ensemble
    thermostat = f"<tau units='picosecond'> {1 / ensemble.friction!r} </tau>"
    thermostat = f"<thermostat mode='langevin'> {thermostat} </thermostat>"
    time = f"<tau units='picosecond'> {ensemble.barostat_time!r} </tau>"
    barostat = f"""<barostat {_BAROSTATS[ensemble.cell]} {time}
          <thermostat mode='langevin'> {time} </thermostat> </barostat>"""
    return f"""<motion mode='dynamics'> <fixcom> False </fixcom>
      {_fixed(task)}
      <dynamics mode='{ensemble.kind}' splitting='baoab'>
        <timestep units='femtosecond'> {task.config.run.timestep!r} </timestep>
        {barostat if ensemble.kind == "npt" else ""}
        {thermostat if ensemble.kind != "nve" else ""}
      </dynamics> </motion>"""


def _fixed(task: Task) -> str:
    held = np.flatnonzero(task.fixed).tolist()
    return f"<fixatoms> {held} </fixatoms>" if held else ""


def _beads(task: Task) -> str:
    """Atoms and cell in the form of a RESTART, which rounds nothing."""
    start, count = task.start, len(task.numbers)
    cell = np.eye(3) * (np.ptp(start.positions) + _VACUUM) if task.cell is None else task.cell
    momenta = start.velocities * _VELOCITY * task.masses[:, None] * _DALTON
    return f"""<beads natoms='{count}' nbeads='1'>
      <q shape='(1, {3 * count})'> {_list(start.positions / IPI.length)} </q>
      <p shape='(1, {3 * count})'> {_list(momenta)} </p>
      <m shape='({count})'> {_list(task.masses * _DALTON)} </m>
      <names shape='({count})'> [ {", ".join(task.symbols)} ] </names>
    </beads>
    <cell shape='(3, 3)'> {_list(cell.T / IPI.length)} </cell>"""


def _list(values: Floats) -> str:
    return "[ " + ", ".join(repr(float(value)) for value in values.ravel()) + " ]"


def _text(path: Path) -> str:
    """A path within i-PI's input.

    Raises:
        InputError: it holds characters that i-PI's input gives a meaning to.
    """
    text = str(path)
    if bad := [c for c in text if c in "<>&{}[],:'\"" or not c.isprintable()]:
        raise InputError(f"{text}: i-PI cannot read paths with {bad[0]!r}; rename or move it")
    return text


IPI_ENGINE = EngineKind(
    "ipi", _TRAJECTORY, IpiEngine, holds_atoms=True, ramps=True, slabs=True, friction=True
)
