"""Error tables against numbers worked out by hand."""

import numpy as np
import pytest

from acepot.errors import InputError
from acepot.report.metrics import Errors, table


def _example():
    errors = Errors()
    errors.add("dia", 2, 0.004, np.full((2, 3), 0.01), np.diag([0.002, 0.0, 0.0]))
    errors.add("liq", 4, -0.004, np.full((4, 3), -0.03))
    errors.add("dia", 1, forces=np.zeros((1, 3)))
    return errors.report()


def test_errors_are_per_atom_and_per_component_in_mev():
    report = _example()
    assert list(report) == ["all", "dia", "liq"]
    assert report["dia"]["E"] == pytest.approx({"mae": 2.0, "rmse": 2.0, "count": 1})
    assert report["all"]["E"] == pytest.approx(
        {"mae": 1.5, "rmse": np.sqrt((4 + 1) / 2), "count": 2}
    )
    assert report["dia"]["F"] == pytest.approx(
        {"mae": 60 / 9, "rmse": np.sqrt(600 / 9), "count": 9}
    )
    assert report["all"]["F"]["count"] == 21
    assert report["all"]["V"] == pytest.approx({"mae": 1 / 6, "rmse": 1 / np.sqrt(6), "count": 6})


def test_absent_quantities_are_left_out():
    report = _example()
    assert "V" not in report["liq"] and "V" in report["dia"]
    errors = Errors()
    errors.add("x", 3)
    assert errors.report() == {"all": {}, "x": {}}
    assert Errors().report() == {"all": {}}


def test_off_diagonal_virials_count_once():
    virial = np.zeros((3, 3))
    virial[0, 1] = virial[1, 0] = 0.006
    errors = Errors()
    errors.add("x", 1, virial=virial)
    assert errors.report()["x"]["V"] == pytest.approx(
        {"mae": 1.0, "rmse": 6 / np.sqrt(6), "count": 6}
    )


def test_table_has_one_line_per_config_type_and_all_last():
    lines = table(_example()).splitlines()
    assert [line.split()[0] for line in lines if not line.startswith("-")][2:] == [
        "dia",
        "liq",
        "all",
    ]
    assert lines[1].split() == ["config_type", *["count", "MAE", "RMSE"] * 3]
    liq = next(line for line in lines if line.startswith("liq"))
    assert liq.split() == ["liq", "1", "1.000", "1.000", "12", "30.000", "30.000", "-", "-", "-"]
    assert len({len(line) for line in lines if not line.startswith(" ")}) == 1


def test_table_keeps_its_columns_for_any_number():
    errors = Errors()
    errors.add("a_rather_long_config_type", 1, 1e9)
    errors.add("b", 1, 1e-9)
    errors.add("c", 1, 0.0)
    lines = table(errors.report()).splitlines()
    assert len({len(line) for line in lines if not line.startswith(" ")}) == 1
    assert "1.00e+12" in lines[3] and "1.00e-06" in lines[4] and "0.000" in lines[5]
    assert table(Errors().report()).splitlines()[-1] == "all"


def test_bad_errors_are_refused():
    errors = Errors()
    with pytest.raises(InputError, match='any name but "all"'):
        errors.add("all", 1, 0.1)
    with pytest.raises(
        InputError, match=r"forces: expected errors of shape \(2, 3\), got \(1, 3\)"
    ):
        errors.add("x", 2, forces=np.zeros((1, 3)))
    with pytest.raises(InputError, match=r"energy: expected finite errors, got nan"):
        errors.add("x", 2, energy=np.nan)
    with pytest.raises(InputError, match=r"atoms: expected 1 or more"):
        errors.add("x", 0)
    assert errors.report() == {"all": {}}
