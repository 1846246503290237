"""convert(): what is written, what is said, what is refused and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot.conversion as conversion
from acepot import Model, load, save
from acepot.basis.choices import Pair, resolve
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.conversion import apart, convert, describe
from acepot.errors import ConvergenceError, InputError
from acepot.evaluate.tablebytes import table_bytes
from acepot.io.pace.write import YaceReport
from acepot.lowering import lower
from acepot.neighbours import build
from acepot.structure import Structure

SHORTEST = {"shortest distances": {"O-O": 2.0, "O-Si": 1.5, "Si-Si": 2.1}}


def make(**fields: object) -> Model:
    basis = {"elements": ("O", "Si"), "order": 2, "degree": 6.0, "cutoff": 5.0}
    spec = resolve(BasisSpec(**(basis | fields)))
    rng = np.random.default_rng(3)
    size = basis_size(spec)["total"]
    coefficients = rng.normal(size=size) / 20
    committee = coefficients + rng.normal(size=(3, size)) / 100
    members = np.vstack([coefficients, committee])[:, None]
    return Model(spec, members, np.array([-2.0, -5.0]), provenance=SHORTEST)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    save(make(), tmp_path / "m.acepot")
    return tmp_path / "m.acepot"


def test_there_and_back_and_there(source: Path, tmp_path: Path) -> None:
    first, middle, last = (tmp_path / name for name in ("1.yace", "2.acepot", "3.yace"))
    done = convert(source, first)
    assert (done.source, done.target, done.elements, done.order) == (
        "acepot", "yace", ("O", "Si"), 2,
    )  # fmt: skip
    assert done.functions == make().coefficients.shape[2]
    assert done.size == first.stat().st_size and done.members == 3
    assert done.yace is not None and 0 < done.yace.error <= done.tolerance == 1e-10
    assert 0 < done.energy_error < 1e-9 and 0 < done.force_error < 1e-7
    assert convert(first, middle).yace is None
    assert lower(load(middle)).digest == lower(load(first)).digest
    assert convert(middle, last).energy_error == 0.0
    assert last.read_bytes() == first.read_bytes()


def test_a_looser_tolerance_takes_fewer_functions(source: Path, tmp_path: Path) -> None:
    fine = convert(source, tmp_path / "fine.yace")
    coarse = convert(source, tmp_path / "coarse.yace", tolerance=1e-6)
    assert coarse.yace is not None and fine.yace is not None
    for pair, order in coarse.yace.orders.items():
        assert order <= fine.yace.orders[pair]
    assert sum(coarse.yace.orders.values()) < sum(fine.yace.orders.values())
    assert coarse.energy_error > fine.energy_error and coarse.size < fine.size


def test_what_was_done_is_told(source: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "m.yace")
    told = dict(describe("m.acepot", "m.yace", done))
    assert told["read"] == "m.acepot: .acepot, O Si"
    assert told["functions"] == f"{done.functions}, correlation order up to 2"
    assert told["written"] == f"m.yace: PACE .yace, {done.size} bytes"
    assert told["radial"].startswith("Chebyshev functions: O-O ")
    assert told["error"].endswith("(tolerance 1e-10)")
    assert "committee of 3 members" in told["left out"]
    assert "eV/atom" in told["read back"] and "as a repulsion below" in told["continued"]


@pytest.mark.parametrize("name", ["m.ace", "m.json", "m.xyz", "m"])
def test_other_formats_are_not_written(name: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--to acepot"):
        convert(source, tmp_path / name)
    assert convert(source, tmp_path / name, "yace").target == "yace"


def test_impossible_requests_are_refused(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(InputError, match="another file"):
        convert(source, source)
    with pytest.raises(InputError, match="exact"):
        convert(source, tmp_path / "x.acepot", tolerance=1e-8)
    with pytest.raises(InputError, match="tolerance: expected"):
        convert(source, tmp_path / "x.yace", tolerance=1.0)
    save(make(pair=Pair(cutoff=4.5)), tmp_path / "unequal.acepot")
    with pytest.raises(InputError, match="one cut-off for a pair"):
        convert(tmp_path / "unequal.acepot", tmp_path / "x.yace")
    assert source.read_bytes() == before and not list(tmp_path.glob("x.*"))


def test_a_file_that_is_another_potential_is_not_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = conversion.yace_lines

    def spoiled(model: Model, tolerance: float) -> tuple[list[str], YaceReport]:
        return honest(replace(model, coefficients=1.01 * model.coefficients), tolerance)

    monkeypatch.setattr(conversion, "yace_lines", spoiled)
    with pytest.raises(ConvergenceError, match="read back, it differs"):
        convert(source, tmp_path / "x.yace")
    assert not (tmp_path / "x.yace").exists()


def test_structures_are_inflated_until_no_pair_is_too_close() -> None:
    close = Structure([8, 14, 14], [[0, 0, 0], [1.0, 0.3, 0], [0, 3.0, 0.2]])
    far = Structure([8, 14], [[0, 0, 0], [2.0, 0, 0]])
    shortest = {"O-Si": 1.6, "Si-Si": 2.0}
    wide, same = apart([close, far], shortest)
    np.testing.assert_array_equal(same.positions, far.positions)
    edges = build(wide, 1.7)
    assert np.linalg.norm(edges.vector, axis=1).min() > 1.6


def test_tables_are_those_of_the_model_by_suffix_or_by_name(source: Path, tmp_path: Path) -> None:
    for name, to in (("m.tables", None), ("m", "tables")):
        done = convert(source, tmp_path / name, to)
        assert (done.target, done.size) == ("tables", (tmp_path / name).stat().st_size)
        assert (tmp_path / name).read_bytes() == table_bytes(lower(load(source)))
    assert dict(describe(source, "m.tables", done))["written"].startswith("m.tables: tables")
    with pytest.raises(InputError, match="to: expected acepot, yace, tables, got 'torch'"):
        convert(source, tmp_path / "x", "torch")  # type: ignore[arg-type]
