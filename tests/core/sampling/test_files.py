"""Files of a run: pymatnest's grammar, every digit, curves on a page, columns of the log."""

import re

import numpy as np
import pytest
from nested_runs import run

import acepot
from acepot.io.structures.labels import LabelKeys
from acepot.run import log
from acepot.run.chart import Curve, chart
from acepot.sampling.columns import columns, temperatures
from acepot.sampling.files import energies_header, energies_name, read_totals
from acepot.sampling.hdf5 import read_state
from acepot.units import BOLTZMANN


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("files")
    run(path, iterations=220, pressures=(10.0, 30.0))
    return path


def test_energies_have_the_grammar_of_pymatnest(folder):
    for k in range(2):
        lines = (folder / energies_name(k)).read_text().splitlines()
        assert lines[0] == "10 1 6 False 2"  # K, one culled at once, 3N degrees, flat V, N
        number = r"-?\d+(\.\d+)?(e[+-]\d+)?"
        assert all(re.fullmatch(rf"\d+ {number} {number}", line) for line in lines[1:])
        rows = np.array([line.split() for line in lines[1:]], float)
        assert rows[:, 0].tolist() == list(range(220))
        assert (np.diff(rows[:, 1]) <= 0.0).all() and (rows[:, 2] > 0.0).all()
        np.testing.assert_array_equal(read_totals(folder / energies_name(k)), rows[:, 1])


def test_enthalpies_are_those_of_the_configurations_with_every_digit(folder):
    keys = LabelKeys(others={"enthalpy": "enthalpy", "volume": "volume", "iteration": "iteration"})
    for k, pressure in enumerate((10.0, 30.0)):
        rows = np.loadtxt(folder / energies_name(k), skiprows=1)
        frames, _ = acepot.read_structures(folder / f"P{k}.culled.extxyz", keys)
        assert [int(one.labels["iteration"]) for one in frames] == [0, 100, 200]
        for one in frames:
            row = rows[int(one.labels["iteration"])]
            assert one.labels["enthalpy"] == row[1] and one.labels["volume"] == row[2]
            s = one.positions @ np.linalg.inv(one.cell)
            energy = (1 - np.cos(2 * np.pi * s)).sum()
            gpa = 1.0 / 160.2176634  # eV/Å³
            assert row[1] == pytest.approx(energy + pressure * gpa * row[2], rel=1e-9)


def test_the_live_ones_are_those_of_the_state_from_the_highest(folder):
    walkers = read_state(next(folder.glob("state.*"))).state.walkers
    for k in range(2):
        rows = np.loadtxt(folder / f"P{k}.live")
        np.testing.assert_array_equal(rows[:, 0], np.sort(walkers.total[k])[::-1])
        assert rows[0, 0] <= np.loadtxt(folder / energies_name(k), skiprows=1)[-1, 1]


def test_the_log_says_what_the_files_say(folder):
    table = log.read(folder / "log.csv", columns(2, ["galilean", "volume"]))
    assert table["iteration"].tolist() == [50, 100, 150, 200]
    for k in range(2):
        rows = np.loadtxt(folder / energies_name(k), skiprows=1)
        at = table["iteration"].astype(int) - 1
        np.testing.assert_array_equal(table[f"P{k}_enthalpy_eV"], rows[at, 1])
        np.testing.assert_array_equal(table[f"P{k}_volume_A3"], rows[at, 2])
        slope = 10 * (rows[at - 10, 1] - rows[at, 1]) / 10
        np.testing.assert_allclose(table[f"P{k}_temperature_K"], slope / BOLTZMANN)
    assert ((table["P0_P1_exchanged"] >= 0) & (table["P0_P1_exchanged"] <= 1)).all()


def test_the_temperature_of_an_ideal_gas_is_that_of_its_enthalpy():
    """X ~ V^(N+1) and H = P V: kT = H/(N+1) exactly, where K is large."""
    count, walkers, power = 4001, 4000, 9
    n = np.arange(count)
    totals = np.exp(-n / walkers / power)[:, None]
    found = temperatures(totals, walkers)
    mean = (totals[0] - totals[-1]) / np.log(totals[0] / totals[-1])
    assert found == pytest.approx(mean / power / BOLTZMANN, rel=1e-9)
    assert np.isnan(temperatures(totals[:1], walkers)).all()


def test_momenta_that_are_sampled_are_not_added_again():
    from acepot.sampling.ensemble import Ensemble
    from acepot.sampling.prior import Prior

    prior = Prior(100.0, flat_volume=True)
    assert energies_header(Ensemble([14] * 3, prior, kinetic=2.0), 50) == "50 1 0 True 3\n"
    assert energies_header(Ensemble([14] * 3, prior), 50) == "50 1 9 True 3\n"


def test_a_chart_holds_its_curves_and_no_more_than_it_can_show():
    x = np.arange(10_000.0)
    y = np.where(x == 5.0, np.nan, x + 1.0)
    text = chart("Volume <Å³>", [Curve("a & b", x, y), Curve("two", x, -y)], decades=True)
    assert "Volume &lt;Å³&gt;" in text and "a &amp; b" in text and "nan" not in text
    first, second = re.findall(r'points="([^"]*)"', text)
    assert 300 <= len(first.split()) <= 400 and second == ""
    places = np.array([one.split(",") for one in first.split()], float)
    assert (np.diff(places[:, 0]) > 0).all() and (np.diff(places[:, 1]) <= 0).all()
