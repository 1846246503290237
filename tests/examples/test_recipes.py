"""The programs of docs/recipes.md get from acepot what it says itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "recipes.md"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All names of the page after its blocks have run, one after the other."""
    for package in ("phonopy", "phono3py", "matcalc", "janus_core", "torch_sim"):
        pytest.importorskip(package)
    found: dict[str, Any] = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("recipes"))
        for text in re.findall(
            r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL
        ):
            exec(compile(text, str(PAGE), "exec", dont_inherit=True), found)
    return found


def test_phonopy_has_three_waves_without_energy(names: dict[str, Any]) -> None:
    gamma, edge = names["frequencies"]
    assert np.abs(gamma[:3]).max() < 0.02 and 14 < gamma[3] < 16.5
    assert (edge > 3).all()


def test_the_conductivity_of_a_cubic_crystal_is_that_of_every_direction(
    names: dict[str, Any],
) -> None:
    kappa = names["conductivity"]
    assert 20 < kappa[0] < 300
    assert kappa == pytest.approx(kappa[0], rel=1e-6)


def test_matcalc_and_janus_find_the_same_crystal(names: dict[str, Any]) -> None:
    # The length of the primitive vectors.
    assert names["relaxed"]["a"] == pytest.approx(5.469 / np.sqrt(2), abs=0.01)
    assert names["modulus"] == pytest.approx(88, abs=8)
    assert names["curve"]["bulk_modulus"] == pytest.approx(names["modulus"], rel=0.1)
    lowest = names["silicon"].get_potential_energy()
    assert names["relaxed"]["energy"] == pytest.approx(lowest, abs=1e-4)


def test_torch_sim_has_the_evaluators_numbers(names: dict[str, Any]) -> None:
    state = names["state"]
    found = names["ACEModel"](names["model"]).forward(state)
    potential = acepot.Potential(names["model"])
    for k, cell in enumerate(state.row_vector_cell):
        own = (state.system_idx == k).numpy()
        structure = acepot.Structure(
            state.atomic_numbers.numpy()[own], state.positions.numpy()[own], cell.numpy(), True
        )
        expected = potential.compute(structure)
        assert float(found["energy"][k]) == pytest.approx(expected.energy, abs=1e-12)
        np.testing.assert_allclose(found["forces"].numpy()[own], expected.forces, atol=1e-12)
        stress = -expected.virial / structure.volume
        np.testing.assert_allclose(found["stress"][k].numpy(), stress, atol=1e-14)
        moved = float(state.energy[k]) - expected.energy
        assert abs(moved) < 1e-4  # the state's own numbers may be in single precision
