"""The analysis of runs from their folders to phases and lines: the one page that shows the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError
from acepot.sampling.analysis import temperatures as grid
from acepot.sampling.analysis.clapeyron import Line, lines
from acepot.sampling.analysis.errors import Estimate, Runs
from acepot.sampling.analysis.folder import Replica, read_run
from acepot.sampling.analysis.frames import chosen, read_frames
from acepot.sampling.analysis.peaks import Peak, peaks
from acepot.sampling.analysis.phases import Label, Phase, label, require_packages, tally
from acepot.sampling.analysis.quench import Energies, quench
from acepot.sampling.analysis.validity import Validity, validity
from acepot.units import GIGAPASCAL

__all__ = ["Analysis", "AtPressure", "Choices", "analyse"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Choices:
    """How runs are analysed.

    Args:
        temperatures: lowest and highest in K; None: those the runs suffice for.
        count: of temperatures.
        redraws: how often the weights of each run are redrawn for errors.
        seed: of the random numbers.
        pressures: further ones in eV/Å³, to which the samples of the nearest are reweighted.
        structures: whether configurations are labelled.
        tolerance: of their space groups, Å.
        frames: how many configurations stand for a phase, at most, in each run.
    """

    temperatures: tuple[float, float] | None = None
    count: int = 400
    redraws: int = 200
    seed: int = 0
    pressures: tuple[float, ...] = ()
    structures: bool = False
    tolerance: float = 0.1
    frames: int = 16


@dataclass(frozen=True, eq=False)
class AtPressure:
    """What the runs say about one pressure.

    Args:
        pressure: eV/Å³.
        sampled: the pressure at which they sampled, from which they may be reweighted.
        atoms: N.
        temperatures: K, shape (t,).
        estimate: thermodynamic functions.
        validity: of every run.
        peaks: of the heat capacity, from low temperature to high.
        phases: between them, from low temperature to high; empty: not labelled.
        quenched: how many configurations were quenched, and how many of these to a minimum.
    """

    pressure: float
    sampled: float
    atoms: int
    temperatures: Floats
    estimate: Estimate
    validity: tuple[Validity, ...]
    peaks: tuple[Peak, ...]
    phases: tuple[Phase, ...]
    quenched: tuple[int, int] = (0, 0)

    @property
    def good(self) -> NDArray[np.bool_]:
        """Temperatures for which every run suffices, shape (t,)."""
        return np.asarray(np.array([one.good for one in self.validity]).all(axis=0))


@dataclass(frozen=True, eq=False)
class Analysis:
    """What runs say about a material.

    Args:
        folders: of the runs.
        choices: how they were analysed.
        pressures: what they say about each pressure, from the lowest to the highest.
        lines: of transitions over the pressures that were sampled, indices into `pressures`.
    """

    folders: tuple[str, ...]
    choices: Choices
    pressures: tuple[AtPressure, ...]
    lines: tuple[Line, ...]


def analyse(
    folders: Sequence[str | Path],
    choices: Choices,
    energies: Energies | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Analysis:
    """Analyse independent runs of one system at the same pressures.

    Args:
        folders: of the runs.
        choices: how.
        energies: with which configurations are quenched before they are labelled; None: they are
            labelled as they were culled.
        say: told about every pressure.

    Returns:
        The analysis.

    Raises:
        InputError: no runs, damaged ones, runs of different systems.
        MissingDependency: labels without spglib and freud.
    """
    if not folders:
        raise InputError("folders: expected one run or more, got none")
    if choices.structures:
        require_packages()
    read = [read_run(folder) for folder in folders]
    at = [[one.samples.pressure for one in run] for run in read]
    for folder, found in zip(folders, at, strict=True):
        if found != at[0]:
            raise InputError(
                f"{folder}: expected the pressures of {folders[0]}, {len(at[0])} in all; analyse "
                "runs at other pressures by themselves"
            )
    groups = list(zip(*read, strict=True))
    order = sorted(range(len(groups)), key=lambda k: _pressure(groups[k][0]))
    groups = [groups[k] for k in order]
    _require_new(choices.pressures, [_pressure(group[0]) for group in groups])
    every = [_at_pressure(group, None, choices, energies, say) for group in groups]
    for pressure in choices.pressures:
        nearest = min(groups, key=lambda group: abs(_pressure(group[0]) - pressure))
        every.append(_at_pressure(nearest, pressure, choices, energies, say))
    every.sort(key=lambda one: one.pressure)
    return Analysis(tuple(map(str, folders)), choices, tuple(every), tuple(_lines(every)))


def _pressure(replica: Replica) -> float:
    if replica.samples.pressure is None:
        raise InputError(f"{replica.samples.name}: its pressure is not known")
    return replica.samples.pressure


def _require_new(asked: Sequence[float], sampled: Sequence[float]) -> None:
    """Refuse to reweight to a pressure that is there already."""
    for index, pressure in enumerate(asked):
        if any(np.isclose(pressure, other) for other in (*sampled, *asked[:index])):
            raise InputError(
                f"pressures: expected others than those of the runs, each once, got "
                f"{pressure / GIGAPASCAL:.6g} GPa"
            )


def _lines(every: Sequence[AtPressure]) -> list[Line]:
    """Lines over pressure; none where replicas differ in something else as well."""
    pressures = [one.pressure for one in every]
    if len(set(pressures)) < len(pressures):
        return []
    return lines(pressures, [one.peaks for one in every])


def _at_pressure(
    group: Sequence[Replica],
    pressure: float | None,
    choices: Choices,
    energies: Energies | None,
    say: Callable[[str], None],
) -> AtPressure:
    """What the replicas of all runs at one pressure say about it, or about another one."""
    sampled, samples = _pressure(group[0]), [one.samples for one in group]
    if pressure is not None:
        samples = [one.at_pressure(pressure) for one in samples]
    runs = Runs(samples, choices.redraws, choices.seed)
    temperatures = (
        grid.chosen(runs, choices.count)
        if choices.temperatures is None
        else grid.spread(*choices.temperatures, choices.count)
    )
    sums = runs.sums(temperatures)
    found = tuple(peaks(runs, temperatures))
    done = AtPressure(
        sampled if pressure is None else pressure,
        sampled,
        samples[0].atoms,
        temperatures,
        runs.estimate(sums),
        tuple(validity(one) for one in sums),
        found,
        (),
    )
    say(f"{done.pressure / GIGAPASCAL:.6g} GPa: peaks of C_p: {len(found)}, runs: {len(group)}")
    return _labelled(done, group, runs, choices, energies) if choices.structures else done


def _labelled(
    done: AtPressure,
    group: Sequence[Replica],
    runs: Runs,
    choices: Choices,
    energies: Energies | None,
) -> AtPressure:
    """The same with the structures of its phases."""
    places = _between(done)
    sums = runs.sums(places)
    frames = [read_frames(one.frames, one.samples) for one in group]
    asked = reached = 0
    phases = []
    for index, temperature in enumerate(places):
        labels: list[tuple[Label, float]] = []
        for of_run, one in zip(frames, sums, strict=True):
            for structure, share in chosen(of_run, one, index, choices.frames):
                if energies is not None:
                    found = quench(energies, structure, done.pressure)
                    structure = found.structure
                    asked, reached = asked + 1, reached + found.converged
                labels.append((label(structure, choices.tolerance), share))
        phases.append(tally(float(temperature), labels))
    return replace(done, phases=tuple(phases), quenched=(asked, reached))


def _between(done: AtPressure) -> Floats:
    """A temperature for each phase: between neighbouring peaks, and before and after them all."""
    sound = done.temperatures[done.good]
    ends = sound if len(sound) else done.temperatures
    marks = [float(ends[0]), *(one.temperature.value for one in done.peaks), float(ends[-1])]
    means: Floats = np.sqrt(np.array(marks[:-1]) * np.array(marks[1:]))
    return means
