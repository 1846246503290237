"""The public names: imported late, and the same as if they had not been."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import acepot
import acepot.errors
import acepot.structure

ROOT = Path(__file__).parents[2]


def in_a_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_are_the_objects_of_their_modules() -> None:
    assert acepot.Structure is acepot.structure.Structure
    assert acepot.AceError is acepot.errors.AceError
    assert acepot.Structure is acepot.Structure


def test_dir_shows_them_before_they_are_imported() -> None:
    said = in_a_new_process("import acepot; print(*dir(acepot))")
    assert {*acepot.__all__, "__version__"} <= set(said.split())


def test_a_star_imports_all_of_them() -> None:
    said = in_a_new_process("from acepot import *\nprint(*sorted(set(dir())))")
    assert set(acepot.__all__) <= set(said.split())


def test_structures_are_pickled_by_name() -> None:
    """As multiprocessing does, also into a process that has imported nothing yet."""
    structure = acepot.Structure([14, 8], [[0, 0, 0], [1.5, 0.2, 0.1]])
    data = pickle.dumps(structure)
    again = pickle.loads(data)
    assert type(again) is acepot.Structure
    np.testing.assert_array_equal(again.positions, structure.positions)
    code = f"import pickle; print(type(pickle.loads({data!r})))"
    assert in_a_new_process(code) == "<class 'acepot.structure.Structure'>\n"


def test_modules_are_attributes_as_before() -> None:
    """`import acepot` once loaded these; programs may have relied on it."""
    code = "import acepot; print(acepot.errors.InputError, acepot.units.ASE, acepot.io)"
    assert "InputError" in in_a_new_process(code)


@pytest.mark.parametrize("name", ["nonsense", "_native_", "fit_", "__wrapped__"])
def test_other_names_are_attribute_errors(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'acepot' has no attribute '{name}'"):
        getattr(acepot, name)
