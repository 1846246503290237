"""fit_charges: energies, forces, charges and dipoles together, by Gauss–Newton.

The energy of equilibrated charges is quadratic in the coefficients of χ, and so is that of latent
ones: each step linearises all rows at the present coefficients and is one call of the linear solver
of maximum evidence, which also finds how strong the prior is. Steps are halved where they do not
lower the loss. Widths and hardness of the elements follow by Levenberg–Marquardt together with
all coefficients, and the coefficients once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from acepot.basis.spec import BasisSpec
from acepot.basis.species import SYMBOLS
from acepot.charges.evaluator import ChargeEvaluator
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import Floats, Ints
from acepot.fitting.charges.frames import LABELS, Frame
from acepot.fitting.charges.settings import ChargeFitSettings, basis_of, start_of
from acepot.fitting.dataset import as_structures, elements, reference_energies
from acepot.fitting.gauss_newton import Levenberg, minimise
from acepot.fitting.problem import Accumulator, Problem
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import BLR, solve
from acepot.lowering import lower
from acepot.model import CHARGE_OUTPUTS, ChargeModel, TensorModel
from acepot.potential import Potential
from acepot.run.memory import free_memory
from acepot.schema import to_mapping
from acepot.structure import Structure

__all__ = ["ChargeErrors", "ChargeFit", "errors_of", "fit_charges"]

#: Part of the free memory that derivatives of functions may take.
_PART = 0.4
#: How often a step is halved.
_HALVES = 8
#: A step this small, as a part of the coefficients, is one of rounding.
_STILL = 1e-6
#: Standard deviation of ln s and ln J around where they begin.
_LOGARITHM = 0.5
#: Their change in a difference.
_STEP = 1e-4
#: A random start of coefficients relative to their prior, where a start at 0 is a saddle.
_SHAKEN = 0.05


@dataclass(frozen=True)
class ChargeErrors:
    """Errors on some structures.

    Args:
        energy: root mean square in meV/atom.
        forces: likewise in meV/Å.
        virial: likewise in meV/atom.
        charges: mean of absolute errors in me.
        dipole: root mean square in me Å.
        born: likewise in me.
        structures: how many.
    """

    energy: float | None
    forces: float | None
    virial: float | None
    charges: float | None
    dipole: float | None
    born: float | None
    structures: int

    def line(self) -> str:
        """For people."""
        units = {
            "energy": "meV/atom", "forces": "meV/Å", "virial": "meV/atom", "charges": "me",
            "dipole": "me Å", "born": "me",
        }  # fmt: skip
        found = [
            f"{name} {value:.4g} {unit}"
            for name, unit in units.items()
            if (value := getattr(self, name)) is not None
        ]
        return ", ".join(found) or "no labels"


@dataclass(frozen=True, eq=False)
class ChargeFit:
    """What `fit_charges` returns.

    Args:
        model: the fitted model, with its committee.
        solution: the coefficients of the last step, with their posterior.
        losses: weighted residuals and prior after each step.
        errors: on the training structures.
    """

    model: ChargeModel
    solution: Solution
    losses: tuple[float, ...]
    errors: ChargeErrors


def fit_charges(
    structures: Iterable[Any],
    settings: ChargeFitSettings | None = None,
    *,
    say: Callable[[str], None] = lambda _text: None,
) -> ChargeFit:
    """Fit a model with charges.

    Args:
        structures: with energies, forces, virials, `charge`, and labels "charges" in e, "dipole"
            in e Å and "born" in e: whichever are there; of acepot, or Atoms of ASE.
        settings: of the model and the fit; None: all defaults.
        say: takes lines for people.

    Raises:
        InputError: settings or labels that do not fit, or no labels at all.
        ConvergenceError: no step lowers the loss.
    """
    settings = settings or ChargeFitSettings()
    train = as_structures(structures)
    symbols = elements(train)
    spec = basis_of(settings, symbols)
    journey = _Journey(train, spec, settings, say)
    return journey.run()


@dataclass(frozen=True, eq=False)
class _At:
    """Coefficients of energies and of the second output, J and s of species."""

    energy: Floats
    output: Floats
    hardness: Floats
    widths: Floats

    @property
    def flat(self) -> Floats:
        """All coefficients."""
        return np.concatenate((self.energy, self.output))

    def moved(self, flat: Floats) -> _At:
        """With other coefficients."""
        k = len(self.energy)
        return replace(self, energy=flat[:k], output=flat[k : 2 * k])


class _Journey:
    """The state of a fit."""

    def __init__(
        self,
        train: list[Structure],
        spec: BasisSpec,
        settings: ChargeFitSettings,
        say: Callable[[str], None],
    ) -> None:
        self.settings, self.spec, self.say, self.train = settings, spec, say, train
        self.latent = settings.kind == "latent"
        tables = lower(spec)
        evaluator = NativeEvaluator(tables)
        self.built = spec.expansion()
        self.size = tables.functions
        symbols = tuple(SYMBOLS[z] for z in spec.numbers)
        found, self.origin = reference_energies(
            train, symbols, settings.e0, float(tables.cutoff.max())
        )
        self.e0 = np.array([found[s] for s in symbols])
        self.frames = self._framed(evaluator)
        gamma = settings.prior.gamma(self.built)
        self.gamma = np.concatenate((gamma, gamma))
        widths, hardness, constants = start_of(settings, spec.numbers)
        output = np.zeros(self.size)
        output[self._constants()] = constants
        self.at = _At(np.zeros(self.size), output, hardness, widths)
        self.losses: list[float] = []

    def _constants(self) -> Ints:
        """Which functions are constants, in the order of the elements, shape (S,)."""
        alone = (self.built.labels.l < 0).all(axis=1)
        return np.flatnonzero(alone)

    def _framed(self, evaluator: NativeEvaluator) -> list[Frame]:
        """Every structure with a label; derivatives are kept while there is memory for them."""
        left = _PART * (free_memory() or 2**31)
        frames = []
        for structure in self.train:
            n = len(structure)
            left -= 8 * (3 * n + 6) * n * self.size
            frame = Frame(
                structure, evaluator, self.settings.weights, self.e0, self.latent, left > 0
            )
            if frame.labels:
                frames.append(frame)
        if not frames:
            raise InputError(
                f"structures: expected one or more with labels ({', '.join(LABELS)}) whose weight "
                "is not 0"
            )
        return frames

    # ---------------------------------------------------------------- rows

    def rows(
        self, at: _At, frames: Sequence[Frame] | None = None, names: Sequence[str] = LABELS
    ) -> Iterator[tuple[Floats, Floats]]:
        """Weighted residuals (what is said less what is given), and their derivatives."""
        for frame in self.frames if frames is None else frames:
            said = frame.said(at.energy, at.output, at.hardness, at.widths, True)
            for name in said.values:
                if name in names:
                    w = frame.weight(name)
                    yield w * (said.values[name] - frame.labels[name]), w * said.slopes[name]

    def loss(self, at: _At) -> float:
        """Weighted residuals, squared."""
        total = 0.0
        for frame in self.frames:
            said = frame.said(at.energy, at.output, at.hardness, at.widths, False)
            for name, values in said.values.items():
                off = frame.weight(name) * (values - frame.labels[name])
                total += float(off @ off)
        return total

    def problem(self, at: _At, names: Sequence[str] = LABELS) -> Problem:
        """The linear problem at these coefficients: of all coefficients, not of a step."""
        rows = Accumulator(2 * self.size)
        for off, slopes in self.rows(at, names=names):
            rows.add(slopes, slopes @ at.flat - off)
        return rows.finish()

    # ---------------------------------------------------------------- steps

    def run(self) -> ChargeFit:
        """All rounds."""
        self._begin()
        solution = self._round()
        if self.settings.fit_interaction:
            self._interaction(solution)
            solution = self._round()
        model = self._model(solution)
        errors = errors_of(model, self.train)
        self.say(f"train: {errors.line()}")
        return ChargeFit(model, solution, tuple(self.losses), errors)

    def _begin(self) -> None:
        """Coefficients to begin with: of charges alone where they are known, never at a saddle."""
        if any("charges" in f.labels for f in self.frames):
            found = solve(self.problem(self.at, ("charges",)), self.gamma, BLR())
            k = self.size
            self.at = replace(self.at, output=found.coefficients[k:])
            return
        still = not any(f.total for f in self.frames)
        if still and np.ptp(self.at.output[self._constants()]) == 0:
            rng = np.random.default_rng(self.settings.seed)
            shaken = _SHAKEN * rng.standard_normal(self.size) / self.gamma[: self.size]
            self.at = replace(self.at, output=self.at.output + shaken)

    def _round(self) -> Solution:
        """Gauss–Newton at fixed J and s."""
        settings, solution = self.settings, None
        for _step in range(settings.iterations):
            solution = solve(self.problem(self.at), self.gamma, BLR())
            strength = solution.noise / (solution.prior_variance or 1.0)
            now = self._objective(self.at, strength)
            direction = solution.coefficients - self.at.flat
            for half in range(_HALVES + 1):
                trial = self.at.moved(self.at.flat + direction / 2**half)
                after = self._objective(trial, strength)
                if after <= now:
                    break
            else:
                # Charges alone are linear: their minimum may be where it begins.
                step, whole = (np.linalg.norm(self.gamma * x) for x in (direction, self.at.flat))
                if not self.losses and step > _STILL * whole:
                    raise ConvergenceError(
                        "charges: no step lowers the loss; begin elsewhere with start, widths or "
                        "hardness"
                    )
                break
            self.at = trial
            self.losses.append(after)
            self.say(
                f"step {len(self.losses)}: loss {after:.6g}" + (f" (1/{2**half})" * (half > 0))
            )
            if now - after <= settings.tolerance * after:
                break
        if solution is None:
            raise ConvergenceError("iterations: expected one or more")
        return solution

    def _objective(self, at: _At, strength: float) -> float:
        """What a step must lower."""
        return self.loss(at) + strength * float(np.sum((self.gamma * at.flat) ** 2))

    # ---------------------------------------------------------------- J and s

    def _interaction(self, solution: Solution) -> None:
        """J and s of all species, together with the coefficients."""
        start, species = self.at, len(self.e0)
        count = species if self.latent else 2 * species
        strength = np.sqrt(solution.noise / (solution.prior_variance or 1.0))
        k = 2 * self.size
        gamma = np.concatenate(
            (strength * self.gamma, np.full(count, np.sqrt(solution.noise) / _LOGARITHM))
        )

        def at(flat: Floats) -> _At:
            logs = flat[k:]
            widths = start.widths * np.exp(logs[:species])
            hardness = start.hardness if self.latent else start.hardness * np.exp(logs[species:])
            return replace(start.moved(flat[:k]), widths=widths, hardness=hardness)

        def residuals(flat: Floats) -> Iterator[tuple[Floats, Floats]]:
            here = at(flat)
            steps = []
            for c in range(count):
                step = flat.copy()
                step[k + c] += _STEP
                steps.append(at(step))
            for frame in self.frames:
                base = frame.said(here.energy, here.output, here.hardness, here.widths, True)
                others = [
                    frame.said(s.energy, s.output, s.hardness, s.widths, False) for s in steps
                ]
                for name, values in base.values.items():
                    w = frame.weight(name)
                    logs = [(o.values[name] - values) / _STEP for o in others]
                    slopes = np.column_stack((base.slopes[name], *logs))
                    yield w * (values - frame.labels[name]), w * slopes

        settings = Levenberg(
            iterations=self.settings.iterations, gradient=1e-6, step=1e-6,
            loss=self.settings.tolerance, damping=1e-3,
        )  # fmt: skip
        flat = np.concatenate((start.flat, np.zeros(count)))
        found = minimise(residuals, flat, gamma=gamma, settings=settings)
        self.at = at(found.at.coefficients)
        symbols = [SYMBOLS[z] for z in self.spec.numbers]
        told = ", ".join(f"{s} {w:.3f} Å" for s, w in zip(symbols, self.at.widths, strict=True))
        if not self.latent:
            told += "; hardness " + ", ".join(
                f"{s} {j:.3f}" for s, j in zip(symbols, self.at.hardness, strict=True)
            ) + " eV/e²"  # fmt: skip
        self.say(f"widths {told} ({found.at.iterations} steps, {found.stop.value})")

    # ---------------------------------------------------------------- what comes out

    def _model(self, solution: Solution) -> ChargeModel:
        """The model and its committee, whose members differ in coefficients alone."""
        rng = np.random.default_rng(self.settings.seed)
        flat = [self.at.flat]
        if self.settings.members:
            flat += list(
                self.at.flat - solution.coefficients + solution.draw(self.settings.members, rng)
            )
        c = np.array(flat).reshape(len(flat), 2, self.size)
        c[:, 0, self._constants()] += self.e0
        outputs = ("energy", CHARGE_OUTPUTS[self.settings.kind])
        sites = TensorModel(self.spec, (c,), (outputs,), "eV")
        provenance = {
            "settings": to_mapping(self.settings),
            "structures": len(self.frames),
            "E0": self.origin,
            "losses": list(self.losses),
            "noise": solution.noise,
        }
        return ChargeModel(sites, self.settings.kind, self.at.widths, self.at.hardness, provenance)


def errors_of(model: ChargeModel, structures: Sequence[Structure]) -> ChargeErrors:
    """Errors of a model on structures with labels.

    Args:
        model: with charges.
        structures: what it is compared with.
    """
    evaluator, potential = ChargeEvaluator(model), Potential(model)
    off: dict[str, list[Floats]] = {name: [] for name in LABELS}
    results = potential.compute_all(structures)
    charges = evaluator.charges(structures)
    for s, result, found in zip(structures, results, charges, strict=True):
        n = len(s)
        if s.energy is not None:
            off["energy"].append(np.array([(result.energy - s.energy) / n]))
        if s.forces is not None:
            off["forces"].append((result.forces - s.forces).ravel())
        if s.virial is not None:
            off["virial"].append(((result.virial - s.virial) / n).ravel())
        if (label := s.labels.get("charges")) is not None:
            off["charges"].append(found.values - label.ravel())
        if (label := s.labels.get("dipole")) is not None and found.dipole is not None:
            off["dipole"].append(found.dipole - label.ravel())
        if (label := s.labels.get("born")) is not None:
            off["born"].append(evaluator.born_charges(s).ravel() - label.ravel())
    found_errors: dict[str, float | None] = {}
    for name, parts in off.items():
        if not parts:
            found_errors[name] = None
            continue
        every = 1000 * np.concatenate(parts)
        mean = np.mean(np.abs(every)) if name == "charges" else np.sqrt(np.mean(every**2))
        found_errors[name] = float(mean)
    return ChargeErrors(**found_errors, structures=len(structures))
