"""`acepot md` in LAMMPS: fix langevin, nve and nph, with pair_style acepot, on any number of ranks.

The state is LAMMPS' restart file. It lacks the random numbers of fix langevin, so every
checkpoint reads its own restart file and seeds the fix anew, from the seed of the run and the
step: a run that was stopped and goes on is the same, bit by bit, as one that was not, if both
made the same checkpoints.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from acepot.errors import InputError
from acepot.md.engine import EngineKind, Floats, Phase, Sample, Task
from acepot.units import LAMMPS_BAR
from lammps_ace.process import LammpsProcess

_TRAJECTORY = "trajectory.dump"
_TABLES, _START, _NOW = "model.tables", "start.data", "now.dump"
#: LAMMPS' restart file at the end of a ramp.
_TURN = "ramp.restart"
#: fs in a ps; bar in a GPa.
_PICOSECOND, _BAR = 1e-3, 1e4
#: Å of vacuum around atoms at the start, in directions that are not periodic. LAMMPS lets the box
#: grow with the atoms and never makes it smaller, so that no molecule is too flat for its bins.
_VACUUM = 10.0
#: Up to so many atoms without a cell, neighbours are sought among all pairs, for which no space is
#: divided: fragments may be at any distance.
_ALL_PAIRS = 20_000
_COUPLINGS = {"isotropic": "iso", "anisotropic": "aniso", "full": "tri"}
_DIGITS = "%.17g"
#: Group of the atoms that move, where not all do.
_FREE = "free"
_BOX = ("lx", "ly", "lz", "xy", "xz", "yz")
#: Where the cell begins, in its own lattice vectors: crystals have atoms at 0, and in a tilted cell
#: LAMMPS loses atoms on its faces to rounding when it reads a restart file.
_ORIGIN = (-0.0137, -0.0151, -0.0173)


class LammpsEngine:
    """One stage of a simulation in LAMMPS.

    Args:
        task: what to simulate.
        state: file to go on from; None: from the start.
    """

    def __init__(self, task: Task, state: Path | None) -> None:
        self._task = task
        self._elements = list(dict.fromkeys(task.symbols))
        task.export_tables(task.folder / _TABLES)
        run = task.config.run
        self._process = LammpsProcess(task.folder, task.config.lammps.ranks, run.threads)
        try:
            self._begin(state)
        except BaseException:
            self._process.close()
            raise

    def _begin(self, state: Path | None) -> None:
        if state is not None:
            return self._resume(state.name)
        (self._task.folder / _START).write_text(_data(self._task, self._elements))
        sides = " ".join("p" if periodic else "m" for periodic in self._task.pbc)
        self._process.tell(
            "units metal",
            "atom_style atomic",
            f"boundary {sides}",
            "box tilt large",
            f"read_data {_START}",
        )
        self._setup(0)

    def _resume(self, state: str) -> None:
        lines = self._process.tell(
            "clear", "box tilt large", f"read_restart {state}", 'print "$(step)"'
        )
        self._setup(int(lines[-1]))

    def advance(self, steps: int) -> None:
        """Go on by a number of steps."""
        end = _pressure_ramp(self._task)
        ramp = f"start 0 stop {end} " if self._step < end else ""
        self._sample = _sample(self._process.tell(f"run {steps} {ramp}pre no post no"))
        self._step += steps
        if self._step == end:  # fix nph goes on at the last pressure, which it has to be told
            self._process.tell(f"write_restart {_TURN}")
            self._resume(_TURN)
            (self._task.folder / _TURN).unlink()

    def sample(self) -> Sample:
        """The present energies, virial and volume."""
        now = self._sample
        return now if self._task.periodic else Sample(now.potential, now.kinetic, now.virial, 0.0)

    def phase(self) -> Phase:
        """The present positions, velocities and cell."""
        lines = self._process.tell(
            f"write_dump all custom {_NOW} xu yu zu vx vy vz modify sort id format float {_DIGITS}",
            'print "' + " ".join(f"$({name}:{_DIGITS})" for name in _BOX) + '"',
        )
        box = np.array(lines[-1].split(), dtype=float)
        lx, ly, lz, xy, xz, yz = box
        cell = np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]])
        if not self._task.periodic:  # where LAMMPS' box has other sides
            cell = self._task.start.cell
        path = self._task.folder / _NOW
        columns = np.loadtxt(path, skiprows=9, ndmin=2)
        path.unlink()
        return Phase(columns[:, :3], columns[:, 3:] * _PICOSECOND, cell)

    def write_frame(self) -> None:
        """Append the present atoms, unwrapped and with velocities, to the trajectory."""
        self._process.tell(
            f"write_dump all custom {_TRAJECTORY} id type element xu yu zu vx vy vz modify "
            f"append yes sort id format float %.10g element {' '.join(self._elements)}"
        )

    def save(self, path: Path) -> None:
        """Write LAMMPS' restart file, and go on from it."""
        self._process.tell(f"write_restart {path.name}")
        self._resume(path.name)

    def close(self) -> None:
        """End LAMMPS."""
        self._process.close()

    def _setup(self, step: int) -> None:
        """What no restart file holds, and the forces of this step."""
        self._step = step
        self._sample = _sample(
            self._process.tell(
                *_neighbours(self._task),
                _pair_style(self._task),
                f"pair_coeff * * {_TABLES} {' '.join(self._elements)}",
                f"timestep {self._task.config.run.timestep * _PICOSECOND!r}",
                "compute virial all pressure NULL virial",
                "compute_modify thermo_temp extra/dof 0",
                "thermo 0",
                "thermo_style custom step pe ke vol c_virial",
                f"thermo_modify norm no format float {_DIGITS}",
                *_groups(self._task),
                *_fixes(self._task, step),
                "run 0 post no",
            )
        )


def _groups(task: Task) -> list[str]:
    """The group of atoms that move, where not all do."""
    held = np.flatnonzero(task.fixed) + 1
    if not len(held):
        return []
    ranges = np.split(held, np.flatnonzero(np.diff(held) > 1) + 1)
    words = " ".join(f"{one[0]}:{one[-1]}" for one in ranges)
    return [f"group held id {words}", f"group {_FREE} subtract all held"]


def _pair_style(task: Task) -> str:
    precision = task.config.run.precision
    return "pair_style acepot" + ("" if precision == "double" else f" precision {precision}")


def _neighbours(task: Task) -> list[str]:
    """How LAMMPS finds neighbours where there is no cell."""
    if any(task.pbc) or len(task.numbers) > _ALL_PAIRS:
        return []
    return ["atom_modify sort 0 0.0", "neighbor 2.0 nsq"]


def _fixes(task: Task, step: int) -> list[str]:
    ensemble = task.ensemble
    who = _FREE if task.fixed.any() else "all"
    if ensemble.kind == "nve":
        return [f"fix move {who} nve"]
    kelvin = task.targets(step)[0]
    bath = (
        f"fix bath {who} langevin {_kelvin(task)} {kelvin!r} {1 / ensemble.friction!r} "
        f"{task.seed(step)}"
    )
    if ensemble.kind == "nvt":
        return [*_variable(task), f"fix move {who} nve", bath]
    bar = task.targets(step)[1] * _BAR
    begin, end = (bar, bar)
    if step < (last := _pressure_ramp(task)):
        begin, end = (task.targets(at)[1] * _BAR for at in (0, last))
    return [
        # About the origin, as the other engines do, or unwrapped positions drift with the centre.
        f"fix move all nph {_COUPLINGS[ensemble.cell]} {begin!r} {end!r} "
        f"{ensemble.barostat_time!r} ptemp {kelvin!r} fixedpoint 0 0 0",
        *_variable(task),
        "compute_modify move_temp extra/dof 0",
        bath,
    ]


def _pressure_ramp(task: Task) -> int:
    """The last step of a ramp of the pressure; 0: there is none."""
    ramp = task.config.ramp
    return (ramp.steps or task.config.run.steps) if task.ramps and ramp.pressure is not None else 0


def _kelvin(task: Task) -> str:
    """The temperature as fix langevin takes it."""
    return "v_kelvin" if task.ramps else repr(task.ensemble.temperature)


def _variable(task: Task) -> list[str]:
    """The temperature as a function of the step, where there is a ramp."""
    if not task.ramps:
        return []
    last = task.config.ramp.steps or task.config.run.steps
    begin, end = (task.targets(step)[0] for step in (0, last))
    part = f"((step<{last})*step/{last}+(step>={last}))"
    return [f"variable kelvin equal {begin!r}+({end - begin!r})*{part}"]


def _data(task: Task, elements: list[str]) -> str:
    """LAMMPS' data file of the start."""
    start = task.start
    cell = np.zeros((3, 3)) if task.cell is None else start.cell.copy()
    origin = np.array(_ORIGIN) @ cell
    for side in np.flatnonzero(~np.array(task.pbc)).tolist():
        along = start.positions[:, side]
        origin[side] = along.min() - _VACUUM
        cell[side, side] = np.ptp(along) + 2 * _VACUUM
    types = [elements.index(symbol) + 1 for symbol in task.symbols]
    masses = {kind: mass for kind, mass in zip(types, task.masses.tolist(), strict=True)}
    sides = zip("xyz", origin.tolist(), (origin + cell.diagonal()).tolist(), strict=True)
    return "\n".join(
        [
            "start of a run\n",
            f"{len(types)} atoms\n{len(elements)} atom types",
            *(f"{low!r} {high!r} {x}lo {x}hi" for x, low, high in sides),
            f"{cell[1, 0].item()!r} {cell[2, 0].item()!r} {cell[2, 1].item()!r} xy xz yz",
            "\nMasses\n",
            *(f"{kind} {mass!r}" for kind, mass in sorted(masses.items())),
            "\nAtoms # atomic\n",
            *_numbered(start.positions, [f"{kind} " for kind in types]),
            "\nVelocities\n",
            *_numbered(start.velocities / _PICOSECOND, [""] * len(types)),
            "",
        ]
    )


def _numbered(vectors: Floats, before: list[str]) -> list[str]:
    return [
        f"{index} {text}{x!r} {y!r} {z!r}"
        for index, (text, (x, y, z)) in enumerate(zip(before, vectors.tolist(), strict=True), 1)
    ]


def _sample(lines: list[str]) -> Sample:
    """Energies, virial and volume of the last line of thermodynamic output."""
    for line in reversed(lines):
        try:
            _, potential, kinetic, volume, bar = (float(word) for word in line.split())
        except ValueError:
            continue
        return Sample(potential, kinetic, 3 * bar * LAMMPS_BAR * volume, volume)
    raise InputError(f"LAMMPS printed no energies, but: {' '.join(lines)}")


LAMMPS_ENGINE = EngineKind(
    "lammps", _TRAJECTORY, LammpsEngine, holds_atoms=True, ramps=True, slabs=True
)
