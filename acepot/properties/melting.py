"""The melting temperature: crystal and liquid of one cell in equilibrium, at constant energy.

A crystal at the guessed temperature gives the cell. Of a cell twice as long one half is held while
the other melts at 2.5 times that temperature and cools; then all atoms move, at zero pressure and
at last at constant energy: where the temperature is too high, crystal melts and takes up the heat,
until both phases are in equilibrium (Morris et al., Phys. Rev. B 49, 3109 (1994)). Every part is a
run of `acepot md` in a folder of its own and goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.io.structures.datasets import read_structures
from acepot.io.structures.extxyz import write_structures
from acepot.md import log
from acepot.md.config import Ensemble, MDConfig, Output, Run, Start
from acepot.md.engines import engine
from acepot.md.simulation import LOG, simulate
from acepot.md.snapshot import LAST
from acepot.properties.crystals import repeated, supercell
from acepot.properties.settings import MeltingSettings
from acepot.properties.values import Finding, Value
from acepot.structure import Structure

__all__ = ["blocked", "crystalline", "melting"]

Floats = NDArray[np.float64]
#: Steps from row to row of a log, and rows of a block; how much hotter the half is that melts.
EVERY, BLOCK, HOT = 50, 10, 2.5
#: Steps of the parts: crystal (with as many before), melting, cooling, relaxing.
PARTS = {"crystal": 2000, "melted": 2000, "cooled": 1500, "relaxed": 1500}
#: A layer is crystal where its Bragg reflections have more than this part of their amplitude, and
#: a cell is in equilibrium where such a part of its layers is, between these.
ORDERED, BETWEEN = 0.5, (0.1, 0.9)


def melting(
    model: Path,
    rest: Structure,
    settings: MeltingSettings,
    folder: Path,
    say: Callable[[str], None],
) -> Finding:
    """The melting temperature of a crystal at zero pressure.

    Args:
        model: file of the model.
        rest: the crystal.
        settings: of the coexistence.
        folder: for the runs.
        say: takes lines for people.

    Raises:
        InputError: a run that cannot go on; what it says names its folder.
        KeyboardInterrupt: stopped, after a checkpoint.
    """
    x, y, z = supercell(rest, max(settings.atoms // 2, 8))
    cube = repeated(rest, np.array([x, y, z]))
    runs = _Runs(model, settings, folder, say)
    t = settings.temperature
    volumes = runs.run("crystal", cube, 2 * t, t, "npt", equilibrated=True)["volume_A3"]
    grown = np.cbrt(float(volumes.mean()) / cube.volume)
    both = repeated(rest, np.array([x, y, 2 * z]))
    both = both.moved(both.positions * grown, both.cell * grown)
    height = both.positions @ np.linalg.inv(both.cell)
    held = Structure(
        both.numbers, both.positions, both.cell, True, fixed=(height[:, 2] + 1e-6) % 1 < 0.499
    )
    runs.run("melted", held, 2 * HOT * t, HOT * t, "nvt")
    runs.run("cooled", runs.last("melted"), t, t, "nvt")
    runs.run("relaxed", runs.last("cooled", free=True), t, t, "npt", cell="anisotropic")
    found = runs.run("both", runs.last("relaxed"), "keep", t, "nve", steps=settings.steps)
    half = {key: column[len(column) // 2 :] for key, column in found.items()}
    temperature, error = blocked(half["temperature_K"])
    pressure, _ = blocked(half["pressure_GPa"])
    frames = read_structures(folder / "both" / "trajectory.traj")[0]
    part = crystalline(frames[len(frames) // 2 :], rest, (x, y, 2 * z))
    notes = [
        f"Melting: {len(held)} atoms, {settings.steps} steps of {settings.timestep:g} fs at "
        f"constant energy, the second half taken; {part:.0%} of the layers crystalline at "
        f"{pressure:.2f} GPa. The error is that of blocks, not of the model."
    ]
    low, high = BETWEEN
    if not low < part < high:
        phase = "liquid froze" if part >= high else "crystal melted"
        notes.append(
            f"Melting: NO coexistence, the {phase}: the temperature is a bound; begin nearer, with "
            "--melting another temperature, in another folder."
        )
    return Finding((Value("melting temperature", temperature, "K", error, "blocks of 1 ps"),),
                   tuple(notes))  # fmt: skip


class _Runs:
    """Runs of dynamics one after another, each in a folder."""

    def __init__(
        self, model: Path, settings: MeltingSettings, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._model, self._settings, self._folder, self._say = model, settings, folder, say

    def run(
        self,
        name: str,
        start: Structure | Path,
        initial: float | str,
        temperature: float,
        kind: str,
        *,
        steps: int | None = None,
        cell: str = "isotropic",
        equilibrated: bool = False,
    ) -> dict[str, Floats]:
        """The log of a run, from step 0."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = start if isinstance(start, Path) else self._folder / f"{name}.extxyz"
        if isinstance(start, Structure) and not file.exists():
            write_structures(file, [start])
        count = PARTS[name] if steps is None else steps
        config = MDConfig(
            model=str(self._model.resolve()),
            structure=Start(file=str(file.resolve())),
            ensemble=Ensemble(temperature, kind=kind, friction=5.0, cell=cell),  # type: ignore[arg-type]
            run=Run(
                steps=count - count % EVERY,
                timestep=self._settings.timestep,
                equilibration=1000 if equilibrated else 0,
                initial_temperature=initial,  # type: ignore[arg-type]
                seed=self._settings.seed,
            ),
            output=Output(every=EVERY, checkpoint=1000),
        )
        simulate(config, self._folder / name, engine("ase"), say=self._say, plots=False)
        columns = log.read(self._folder / name / LOG)
        return {key: column[columns["step"] >= 0] for key, column in columns.items()}

    def last(self, name: str, *, free: bool = False) -> Path:
        """The file with the last state of a run, in which no atom is held any more where free."""
        path = self._folder / name / LAST
        if not free:
            return path
        text = path.read_text(encoding="utf-8").splitlines()
        freed = self._folder / f"{name} free.extxyz"
        mask = next(w for w in text[1].split() if w.startswith("Properties="))
        count = int(mask.rsplit(":", 1)[1])
        head = text[1].replace(mask, mask[: mask.index(":move_mask")])
        rows = [row.rsplit(None, count)[0] for row in text[2:]]
        freed.write_text("\n".join([text[0], head, *rows]) + "\n", encoding="utf-8")
        return freed


def blocked(values: Floats) -> tuple[float, float]:
    """Mean and its error from blocks of rows."""
    count = max(len(values) // BLOCK, 2)
    blocks = np.array([part.mean() for part in np.array_split(values, count)])
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(len(blocks)))


def crystalline(frames: list[Structure], rest: Structure, counts: tuple[int, int, int]) -> float:
    """Part of the layers along the third vector that diffract in the plane as the crystal does.

    Args:
        frames: of the cell.
        rest: one cell of the crystal.
        counts: of cells along the three vectors.
    """
    waves = _reflections(rest)
    layers = 2 * counts[2]
    ordered = []
    for frame in frames:
        places = np.linalg.solve(frame.cell.T, frame.positions.T).T
        which = (places[:, 2] % 1 * layers).astype(int) % layers
        phases = 2j * np.pi * places[:, :2] @ (waves * np.array(counts[:2])).T
        sums = np.zeros((layers, len(waves)), dtype=complex)
        np.add.at(sums, which, np.exp(phases))
        each = np.maximum(np.bincount(which, minlength=layers), 1)
        ordered.append((np.abs(sums).mean(axis=1) / each > ORDERED).mean())
    return float(np.mean(ordered))


def _reflections(rest: Structure) -> NDArray[np.int64]:
    """Two independent (h, k) whose waves all atoms of the crystal are in phase with."""
    places = np.linalg.solve(rest.cell.T, rest.positions.T).T[:, :2]
    lengths = np.linalg.norm(rest.cell[:2], axis=1)
    tried = [(h, k) for h in range(9) for k in range(-8, 9) if (h, k) > (0, 0)]
    tried.sort(key=lambda one: (one[0] / lengths[0]) ** 2 + (one[1] / lengths[1]) ** 2)
    chosen: list[tuple[int, int]] = []
    for h, k in tried:
        if abs(np.exp(2j * np.pi * places @ np.array([h, k])).mean()) < 0.99:
            continue
        if not chosen or abs(h * chosen[0][1] - k * chosen[0][0]) > 0:
            chosen.append((h, k))
        if len(chosen) == 2:
            break
    return np.array(chosen)
