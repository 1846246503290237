"""From fine trajectories to a coarse model that runs: potential of mean force and friction."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import InputError
from acepot.evaluate.protocol import Floats
from acepot.fitting.fit import fit
from acepot.friction.coarse.config import CoarseConfig, renamed
from acepot.friction.coarse.memory import Times, Windows, plateau, times_of
from acepot.friction.coarse.trajectory import Beads, read_beads
from acepot.friction.evaluator import FrictionEvaluator
from acepot.friction.fit import FrictionFit, fit_friction
from acepot.friction.report import draw_kernels, report, write_report
from acepot.io.files import replaced
from acepot.io.modelfile import save
from acepot.io.structures.extxyz import write_structures
from acepot.model import Model
from acepot.potential import Potential
from acepot.run.figure import picture, require_matplotlib
from acepot.run.publication import publishing
from acepot.schema import to_mapping, to_toml
from acepot.units import AMU

__all__ = ["Coarse", "coarse_grain", "run_coarse"]

_POTENTIAL, _FRICTION, _START = "potential.acepot", "friction.acepot", "start.extxyz"
_COARSE, _RUN, _REPORT = "coarse.toml", "md.toml", "report.json"
_MEMORY, _KERNELS = "memory.png", "kernels.png"
#: The order in which they are put in place.
_FILES = (_COARSE, _RUN, _START, _REPORT, _MEMORY, _KERNELS, _FRICTION, _POTENTIAL)
#: Frames for which forces are predicted at once, and most that are fitted.
_AT_ONCE, _MOST_FRAMES = 1000, 20_000


@dataclass(frozen=True, eq=False)
class Coarse:
    """A coarse model.

    Args:
        potential: of mean force.
        friction: how its fit went, and the model.
        times: memory and relaxation.
        lag: fs over which correlations were summed up.
        windows: how many.
        lags: fs, shape (n,).
        plateau: friction of a coordinate summed up to each lag, in amu/fs, shape (n,).
    """

    potential: Model
    friction: FrictionFit
    times: Times
    lag: float
    windows: int
    lags: Floats
    plateau: Floats


def coarse_grain(
    beads: Sequence[Beads], config: CoarseConfig, *, say: Callable[[str], None]
) -> Coarse:
    """A potential of mean force by force matching, and friction from what it leaves.

    Args:
        beads: trajectories in equilibrium.
        config: how.
        say: takes lines for people.

    Raises:
        InputError: no separation of memory and relaxation, or trajectories that are too short.
    """
    fine, memory = config.fine, config.memory
    potential = mean_force(beads, config)
    fluctuating = [left(one, potential) for one in beads]
    times = times_of(beads, fluctuating, fine.interval)
    say(
        f"memory time {times.memory:.4g} fs, relaxation time {times.relaxation:.4g} fs: "
        f"{times.separation:.3g} times as long"
    )
    if not times.separation >= memory.separation:
        raise InputError(
            f"memory.separation: the relaxation time is {times.separation:.3g} times the memory "
            f"time, expected {memory.separation:g} or more: friction without memory does not "
            "describe this; choose heavier beads or fewer of them"
        )
    lag = 6 * times.memory if memory.lag is None else memory.lag
    frames = max(1, round(lag / fine.interval))
    window = 4 * frames
    if memory.window is not None:
        window = max(1, round(memory.window / fine.interval))
    velocities = [one.velocities(fine.interval) for one in beads]
    found, driven = None, fluctuating
    for _ in range(memory.sweeps):
        data = Windows(beads, driven, fine.interval, fine.temperature, frames, window)
        found = fit_friction(data, config.friction, say=say)
        evaluator = FrictionEvaluator(found.model)
        driven = [
            f + drag(evaluator, one, v, window)
            for f, one, v in zip(fluctuating, beads, velocities, strict=True)
        ]
    if found is None:
        raise InputError("memory.sweeps: expected 1 or more")
    lags, sums = plateau(driven, fine.interval, fine.temperature, 3 * frames)
    return Coarse(potential, found, times, lag, len(data), lags, sums)


def mean_force(beads: Sequence[Beads], config: CoarseConfig) -> Model:
    """Least squares on instantaneous forces, frames a lag or so apart."""
    total = sum(len(one) for one in beads)
    every = max(1, total // _MOST_FRAMES)
    train = [one.structure(k, forces=True) for one in beads for k in range(0, len(one), every)]
    found = fit(
        train, config.potential, observables=["forces"],
        e0={config.mapping.element: 0.0}, threads=1, accept_labels=True,
    )  # fmt: skip
    return found.model


def left(one: Beads, potential: Model) -> Floats:
    """δF = F - F̄(X) in eV/Å, shape (frames, n, 3)."""
    evaluator, made = Potential(potential, threads=1), np.array(one.forces)
    for start in range(0, len(one), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(one))
        results = evaluator.compute_all([one.structure(k) for k in range(start, stop)])
        made[start:stop] -= np.array([result.forces for result in results])
    return made


def drag(evaluator: FrictionEvaluator, one: Beads, velocities: Floats, every: int) -> Floats:
    """Γ(X) X' in eV/Å, Γ as at the middle of each stretch of frames, shape (frames, n, 3)."""
    made = np.zeros_like(velocities)
    for start in range(0, len(one), every):
        stop = min(start + every, len(one))
        gamma = evaluator.gamma(one.structure((start + stop) // 2))
        made[start:stop] = (velocities[start:stop].reshape(stop - start, -1) @ gamma).reshape(
            stop - start, -1, 3
        )
    return made * AMU


def run_coarse(
    config: CoarseConfig, folder: str | Path, *, say: Callable[[str], None], plots: bool = True
) -> Coarse:
    """Read trajectories and write a model that `acepot md` runs.

    Args:
        config: how.
        folder: gets potential.acepot, friction.acepot, start.extxyz, md.toml, coarse.toml,
            report.json and, with plots, memory.png and kernels.png.
        say: takes lines for people.
        plots: draw figures, which needs matplotlib.

    Raises:
        InputError: as `coarse_grain`.
        MissingDependency: plots without matplotlib.
    """
    if plots:
        require_matplotlib(", or do without: --no-plots")
    beads = [read_beads(name, config.mapping) for name in config.fine.files]
    say(
        f"{len(beads)} trajectories of {len(beads[0].numbers)} beads, "
        f"{sum(len(one) for one in beads)} frames"
    )
    home = Path(folder)
    with publishing(home, _FILES, say, what="coarse") as files:
        made = coarse_grain(beads, config, say=say)
        save(made.potential, files.file(_POTENTIAL))
        save(made.friction.model, files.file(_FRICTION))
        write_structures(files.file(_START), [beads[0].structure(len(beads[0]) - 1)])
        relative = renamed(config, lambda name: os.path.relpath(name, home))
        for name, text in ((_COARSE, to_mapping(relative)), (_RUN, _md(config, beads[0]))):
            with replaced(files.file(name)) as file:
                file.write(to_toml(text))
        told: dict[str, Any] = report(made.friction, {})
        told |= {"times": asdict(made.times), "lag": made.lag, "windows": made.windows}
        told |= {"plateau": [made.lags.tolist(), made.plateau.tolist()]}
        write_report(files.file(_REPORT), json.loads(json.dumps(told)))
        if plots:
            _draw(files.file(_MEMORY), made)
            draw_kernels(files.file(_KERNELS), made.friction.model, [], 0.5)
    return made


def _md(config: CoarseConfig, beads: Beads) -> dict[str, Any]:
    """The simulation that is made ready."""
    element = config.mapping.element
    return {
        "model": _POTENTIAL,
        "structure": {"file": _START, "masses": {element: float(beads.mass[0])}},
        "ensemble": {
            "temperature": config.fine.temperature, "friction_model": _FRICTION,
        },
        "run": {"steps": 10_000, "timestep": config.timestep},
        "output": {"every": 100, "checkpoint": 1000},
    }  # fmt: skip


def _draw(path: Path, made: Coarse) -> None:
    with picture(path, 5.0, 3.4) as figure:
        axes = figure.subplots()
        axes.plot(made.lags, made.plateau)
        axes.axvline(made.lag, color="#333333", lw=0.7)
        axes.set_xlabel("lag (fs)")
        axes.set_ylabel("friction of a coordinate (amu/fs)")
        figure.tight_layout()
