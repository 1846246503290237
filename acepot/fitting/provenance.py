"""What a fitted model says about its making."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from acepot.fitting.choice import Choice
from acepot.fitting.config import FitConfig
from acepot.fitting.consistency import Consistency
from acepot.fitting.solution import Solution
from acepot.fitting.solvers import Solver
from acepot.schema import to_mapping
from acepot.structure import Structure

__all__ = ["provenance", "solver_report"]


def provenance(
    choice: Choice,
    virials: Consistency | None,
    config: FitConfig | None,
    train: list[Structure],
    test: list[Structure],
    solution: Solution,
) -> dict[str, Any]:
    """What a model remembers of its making: nothing that changes from run to run.

    Args:
        choice: recipe and E0 with every default written out.
        virials: how they compare with energies and forces, if that decided anything.
        config: of the files that the structures are from.
        train: training structures.
        test: test structures.
        solution: coefficients with their posterior.
    """
    settings = choice.recipe if config is None else config
    mapping = to_mapping(
        replace(
            settings,
            prior=settings.prior.moved(lambda name: Path(name).name),
            weighting=settings.weighting.moved(lambda name: Path(name).name),
        )
    )
    if config is not None:
        mapping["data"]["train"] = [Path(name).name for name in config.data.train_files]
        mapping["data"]["test"] = [Path(name).name for name in config.data.test_files]
    del mapping["basis"]  # the model holds it
    compared = {} if virials is None else {"virials": virials.report}
    return {
        "fit": mapping,
        "structures": {"train": len(train), "test": len(test)},
        "atoms": {"train": sum(map(len, train)), "test": sum(map(len, test))},
        "shortest distances": choice.shortest,
        "e0 origin": choice.origin,
        "solver": solver_report(choice.recipe.solver, solution),
        **compared,
    }


def solver_report(solver: Solver, solution: Solution) -> dict[str, Any]:
    """What the solver did, as plain values that JSON can hold."""
    values: dict[str, Any] = {"kind": solver.kind, "noise variance": solution.noise}
    if solution.prior_variance is not None:
        values["prior variance"] = solution.prior_variance
    if solution.log_evidence is not None:
        values["log evidence"] = solution.log_evidence
    values |= {k: v for k, v in solution.report.items() if k != "solver"}
    # JSON has no infinity: a singular system's condition number becomes a word.
    return {
        k: str(v) if isinstance(v, float) and not np.isfinite(v) else v for k, v in values.items()
    }
