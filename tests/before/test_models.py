"""Model files and Tables of an earlier version give the numbers they gave then.

To rounding of sums where numpy, scipy and the compiler round as they did where the numbers were
made (`measure.arithmetic`), to that of elementary functions elsewhere.
"""

from __future__ import annotations

import json
import lzma
import re
import zipfile
from pathlib import Path

import measure
import numpy as np
import pytest

import acepot
from acepot.evaluate.native import instruction_sets

DATA = Path(__file__).parent / "data"
SHIPPED = DATA / "silicon.acepot"  # the model of silicon that was shipped then
MODELS = {path.name: path for path in sorted((DATA / "models").iterdir())} | {"Si-mlearn": SHIPPED}
TABLES = {path.stem: path for path in sorted((DATA / "tables").iterdir())}
EVALUATORS = ("reference", "baseline", "avx2", "avx512")
#: Relative to the largest number: sums in another order, which all evaluators have had since;
#: another machine's elementary functions, which the fitting of the radial tables to their knots
#: magnifies.
REORDERED, ELSEWHERE = 1e-13, 1e-10


def assert_same(
    found: np.ndarray, stored: np.ndarray, evaluator: str, same_arithmetic: bool
) -> None:
    assert found.shape == stored.shape
    gap = np.abs(found - stored).max() / np.abs(stored).max()
    assert gap <= (REORDERED if same_arithmetic else ELSEWHERE), f"{evaluator}: {gap:.1e}"


def require(evaluator: str) -> None:
    if evaluator != "reference" and evaluator not in instruction_sets():
        pytest.skip(f"this machine has no {evaluator}")


@pytest.mark.parametrize("evaluator", EVALUATORS)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_gives_its_numbers(name, evaluator, stored_numbers, same_arithmetic):
    require(evaluator)
    found = measure.measured(acepot.load(MODELS[name]), evaluator)
    assert_same(found, stored_numbers[f"{name}/{evaluator}"], evaluator, same_arithmetic)


@pytest.mark.parametrize("evaluator", EVALUATORS[1:])
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_then_are_read_by_the_library(name, evaluator, stored_numbers, same_arithmetic):
    require(evaluator)
    found = measure.measured_tables(lzma.decompress(TABLES[name].read_bytes()), evaluator)
    assert_same(found, stored_numbers[f"{name}/{evaluator}"], evaluator, same_arithmetic)


def test_every_file_has_numbers_and_all_numbers_have_a_file(stored_numbers):
    names = {f"{name}/{e}" for name in MODELS for e in EVALUATORS}
    names |= {f"{name}/{e}" for name in TABLES for e in EVALUATORS[1:]}
    assert names == set(stored_numbers) and len(MODELS) == 31 and len(TABLES) == 4


def test_the_files_hold_every_kind_there_was():
    """Radial functions, families, transforms, envelopes, embeddings; both versions of the file."""
    text, versions = "", set()
    for path in MODELS.values():
        if path.suffix == ".acepot":
            header = json.loads(zipfile.ZipFile(path).read("header.json"))
            versions.add(header["version"])
            text += json.dumps(header)
    kinds = set(re.findall(r'"(?:kind|family)": ?"(\w+)"', text))
    assert kinds >= {
        "polynomial", "chebyshev", "bessel", "inner_cut", "mixed", "spliced", "core", "zbl",
        "orthonormal", "jacobi", "legendre", "cheb_exp_cos", "cheb_pow", "cheb_linear", "sbessel",
        "agnesi", "morse", "identity", "x", "r", "r_shifted",
        "FinnisSinclair", "FinnisSinclairShiftedScaled",
    }  # fmt: skip
    assert versions == {1, 2}


@pytest.mark.parametrize("name", [name for name in MODELS if name.endswith(".acepot")])
def test_a_model_file_keeps_what_else_it_holds(name, tmp_path):
    """Saved again it is the same model: coefficients, E0, committee and provenance."""
    model = acepot.load(MODELS[name])
    acepot.save(model, tmp_path / "again.acepot")
    again = acepot.load(tmp_path / "again.acepot")
    for key in ("coefficients", "e0", "committee"):
        one, other = getattr(model, key), getattr(again, key)
        assert (one is None and other is None) or one.tobytes() == other.tobytes(), key
    assert dict(again.provenance) == dict(model.provenance)
    if "explicit" not in name:
        assert dict(model.provenance)["numbers"] == [1, 2.5, None, True]
