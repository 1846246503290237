"""How far the members of a model's committee are apart in a simulation, and when that ends it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from acepot.errors import AceError, InputError
from acepot.io.registry import load
from acepot.io.structures import extxyz
from acepot.md.config import MDConfig
from acepot.md.engine import Atoms, Phase
from acepot.model import ChargeModel, HamiltonianModel, Model
from acepot.potential import Potential
from acepot.structure import Structure

__all__ = ["Spread", "SpreadError", "Watch", "watch"]


class SpreadError(AceError, RuntimeError):
    """The members of the committee are further apart than a run allows."""


@dataclass(frozen=True)
class Spread:
    """Root-mean-square deviations of the members from the model.

    Args:
        energy: of the energy, in eV/atom.
        force: of the force on that atom where it is largest, in eV/Å.
        atom: which one, from 0; fixed ones do not count.
    """

    energy: float
    force: float
    atom: int


class Watch:
    """The committee of a simulation.

    Args:
        config: of the simulation.
        atoms: what moves.
        potential: with the committee.
    """

    def __init__(self, config: MDConfig, atoms: Atoms, potential: Potential) -> None:
        self._limits, self._every = config.committee, config.committee_every
        self._atoms, self._potential = atoms, potential
        self._charge = config.structure.charge

    def is_due(self, step: int) -> bool:
        """Whether the spread of a step is asked for."""
        return step % self._every == 0

    def spread(self, phase: Phase) -> Spread:
        """How far the members are apart."""
        atoms = self._atoms
        result = self._potential.compute(self._structure(phase), committee=True)
        members = result.committee
        if members is None:
            raise InputError("committee: the evaluator gave no members")
        energies = (members.energies - result.energy) / len(atoms.numbers)
        squares = ((members.forces - result.forces) ** 2).sum(axis=2).mean(axis=0)  # [atom]
        squares[atoms.fixed] = 0.0
        atom = int(squares.argmax())
        return Spread(float(np.sqrt((energies**2).mean())), float(np.sqrt(squares[atom])), atom)

    def too_far(self, spread: Spread) -> str:
        """Which threshold is passed, in words; empty: none."""
        energy, force = self._limits.energy_threshold, self._limits.force_threshold
        if energy is not None and spread.energy > energy:
            return (
                f"the energies of the committee spread by {spread.energy:.4g} eV/atom, more than "
                f"committee.energy_threshold ({energy:g})"
            )
        if force is not None and spread.force > force:
            return (
                f"the forces of the committee on atom {spread.atom} spread by {spread.force:.4g} "
                f"eV/Å, more than committee.force_threshold ({force:g})"
            )
        return ""

    def stop(self, step: int, phase: Phase, reason: str, folder: Path) -> SpreadError:
        """Save the structure of a step; the error that ends the run there."""
        path = folder / f"uncertain.{step}.extxyz"
        extxyz.write_structures(path, [self._structure(phase, f"step {step}")])
        return SpreadError(
            f"stopped at step {step}: {reason}; the structure is in {path}; the same command goes "
            "on from there with a higher threshold"
        )

    def _structure(self, phase: Phase, name: str = "") -> Structure:
        atoms = self._atoms
        cell = phase.cell if any(atoms.pbc) else None
        fixed = atoms.fixed if atoms.fixed.any() else None
        return Structure(
            atoms.numbers, phase.positions, cell, atoms.pbc, name=name, fixed=fixed,
            charge=self._charge,
        )  # fmt: skip


def watch(config: MDConfig, atoms: Atoms) -> Watch | None:
    """The committee of a simulation; None: the model has none, or it is not asked for.

    Raises:
        InputError: a threshold for a model without a committee.
    """
    limits = config.committee
    if config.committee_every == 0:
        return None
    model: Any = load(config.model, Model | ChargeModel | HamiltonianModel)
    if isinstance(model, HamiltonianModel) or model.committee is None:
        if limits.energy_threshold is not None or limits.force_threshold is not None:
            raise InputError(
                f"committee: expected no thresholds, for {config.model} has no committee; fit it "
                "again with committee.size in its TOML"
            )
        return None
    return Watch(config, atoms, Potential(model, threads=config.run.threads))
