"""The whole way: folders of runs in, files, tables and figures out; and samples for anesthetic."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

from acepot.cli.main import main
from acepot.errors import InputError, MissingDependency
from acepot.sampling.analysis.nested_samples import birth_enthalpies, nested_samples
from acepot.sampling.analysis.pipeline import Choices, analyse
from acepot.sampling.analysis.report import json_table, tables
from acepot.sampling.analysis.thermodynamics import curves
from acepot.units import GIGAPASCAL

FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])


def _write_frames(path, run, rows, rng) -> None:
    """Diamond where the volume is that of the first phase, else eight atoms anywhere."""
    lines = []
    for row in rows.tolist():
        volume, solid = float(run.volume[row]), run.volume[row] < 165.0
        cell = np.diag([1.0, 2.0, 2.0]) @ FCC
        cell = cell * (volume / abs(np.linalg.det(cell))) ** (1 / 3)
        shifts = np.array([[0, i, j] for i in range(2) for j in range(2)]) / [1, 2, 2]
        pair = np.array([[0, 0, 0], [0.25, 0.125, 0.125]])
        places = (pair[None] + shifts[:, None]).reshape(-1, 3) if solid else rng.random((8, 3))
        words = " ".join(map(repr, cell.ravel().tolist()))
        lines.append(
            f'8\nLattice="{words}" Properties=species:S:1:pos:R:3 iteration={row} '
            f"enthalpy={float(run.enthalpy[row])!r} energy=1.0 volume={volume!r} "
            "birth_enthalpy=1e9\n"
        )
        lines += [f"Si {' '.join(map(repr, one))}\n" for one in (places @ cell).tolist()]
    path.write_text("".join(lines))


@pytest.fixture(scope="module")
def folders(kit, tmp_path_factory):
    """Three runs at two pressures, in falling order, with frames."""
    home, rng = tmp_path_factory.mktemp("runs"), np.random.default_rng(8)
    paths = [home / f"run-{i}" for i in range(3)]
    for i, path in enumerate(paths):
        systems = [kit.TwoPhases(p * GIGAPASCAL) for p in (2.0, 0.0)]
        runs = [kit.run(system, 50, 110, 7 * i + k) for k, system in enumerate(systems)]
        kit.write(path, runs)
        for k, run in enumerate(runs):
            rows = np.arange(20, run.culled, 40)
            _write_frames(path / f"P{k}.culled.extxyz", run, rows, rng)
    return paths


@pytest.fixture(scope="module")
def written(folders, tmp_path_factory):
    """What the command writes and says."""
    pytest.importorskip("freud")
    pytest.importorskip("spglib")
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("out") / "analysis"
    words = ["ns-analyse", *map(str, folders), "--out", str(out), "--structures"]
    words += ["--redraws", "40", "--count", "80", "--temperatures", "300", "1000"]
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("acepot.cli.ns_analyse.show", said.append)
        assert main(words) == 0
    return out, "\n".join(said)


def test_the_report_holds_the_transition_at_every_pressure(kit, written) -> None:
    out, _ = written
    table = json.loads((out / "analysis.json").read_text())
    assert [one["pressure_GPa"] for one in table["pressures"]] == pytest.approx([0.0, 2.0])
    for one in table["pressures"]:
        system = kit.TwoPhases(one["pressure_GPa"] * GIGAPASCAL)
        assert (one["runs"], one["errors_from"], one["atoms"]) == (3, "runs", 8)
        (peak,) = one["peaks"]
        found = peak["temperature_K"]
        assert abs(found["value"] - system.temperature) < 5 * found["error"] + 10
        assert found["error"] == found["runs"] and found["redraws"] > 0
        assert peak["two_phases"] and peak["good"]
        t, c = np.array(one["temperature_K"]), np.array(one["curves"]["heat_capacity_k"])
        error = np.array(one["errors_runs"]["heat_capacity_k"])
        assert t[0] == pytest.approx(300) and t[-1] == pytest.approx(1000) and len(t) == 80
        ends = [0, -1]
        assert (abs(c - system.heat_capacity(t))[ends] < 8 * error[ends]).all()
        assert all(len(v["last_iteration"]) == 80 for v in one["validity"])
    (line,) = table["lines"]
    (slope,) = line["slopes"]
    assert slope["deviation"] is not None and abs(slope["deviation"]) < 5
    assert line["pressures_GPa"] == pytest.approx([0.0, 2.0])


def test_the_phases_on_both_sides_are_named(written) -> None:
    out, said = written
    for one in json.loads((out / "analysis.json").read_text())["pressures"]:
        low, high = one["phases"]
        assert low["names"] == {"diamond, Fd-3m": pytest.approx(1.0)}
        assert high["names"] == {"disordered": pytest.approx(1.0)}
        assert low["q6"][1] < 1e-4 < high["q6"][1]
        assert low["volume"][0] == pytest.approx(20.0)
        assert high["volume"][0] == pytest.approx(21.25)
    assert "100% diamond, Fd-3m; Q4 0.455 ± 0.000" in said


def test_the_curves_are_the_same_in_both_files(written) -> None:
    out, _ = written
    table = json.loads((out / "analysis.json").read_text())
    with (out / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    for one, part in zip(table["pressures"], (rows[:80], rows[80:]), strict=True):
        for title, values in one["curves"].items():
            assert [float(row[title]) for row in part] == values
            errors = one[f"errors_{one['errors_from']}"][title]
            assert [float(row[f"{title}_error"]) for row in part] == errors
        good = np.all([np.logical_not(v["few"]) & np.logical_not(v["clipped"])
                       for v in one["validity"]], axis=0)  # fmt: skip
        assert [row["good"] == "1" for row in part] == good.tolist()


def test_the_table_says_what_the_report_says(written) -> None:
    out, said = written
    table = json.loads((out / "analysis.json").read_text())
    for one in table["pressures"]:
        peak = one["peaks"][0]["temperature_K"]
        assert f"{peak['value']:.5g} ± {peak['error']:.2g}" in said
    assert "two phases" in said and "standard errors over 3 independent runs" in said
    assert "K/GPa by the peaks" in said and f"written  {out}" in said


def test_the_figures_are_drawn_and_the_same_again(folders, written, tmp_path) -> None:
    out, _ = written
    pictures = {p.name: p.read_bytes() for p in out.glob("*.png")}
    assert set(pictures) == {"curves.png", "diagram.png"}
    assert all(len(data) > 10_000 for data in pictures.values())
    words = ["ns-analyse", *map(str, folders), "--out", str(tmp_path), "--redraws", "40"]
    assert main([*words, "--count", "80", "--temperatures", "300", "1000"]) == 0
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.png")} == pictures


def test_one_run_has_the_errors_of_its_compressions(folders) -> None:
    found = analyse(folders[:1], Choices(redraws=20, count=40, temperatures=(300.0, 1000.0)))
    assert {one.estimate.source for one in found.pressures} == {"redraws"}
    assert "errors: redrawn compressions of 1 run" in tables(found)
    none = analyse(folders[:1], Choices(redraws=0, count=40, temperatures=(300.0, 1000.0)))
    assert none.pressures[0].estimate.error is None
    assert json_table(none)["pressures"][0]["peaks"][0]["temperature_K"]["error"] is None
    assert "±" not in tables(none)


def test_pressures_between_are_reached_by_reweighting(kit, folders) -> None:
    choices = Choices(
        redraws=20, count=60, temperatures=(400.0, 900.0), pressures=(0.3 * GIGAPASCAL,)
    )
    found = analyse(folders, choices)
    assert [one.pressure / GIGAPASCAL for one in found.pressures] == pytest.approx([0, 0.3, 2])
    assert found.pressures[1].sampled == found.pressures[0].pressure
    (peak,) = found.pressures[1].peaks
    exact = kit.TwoPhases(0.3 * GIGAPASCAL).temperature
    assert abs(peak.temperature.value - exact) < 5 * peak.temperature.error + 10
    assert "0.3 GPa, from 0 GPa" in tables(found)
    with pytest.raises(
        InputError, match="expected others than those of the runs, each once, got 0 GPa"
    ):
        analyse(folders[:1], Choices(redraws=0, count=40, pressures=(0.0,)))


def test_temperatures_that_the_runs_do_not_reach_are_marked(kit, tmp_path) -> None:
    kit.write(tmp_path / "short", [kit.run(kit.TwoPhases(0.0), 60, 40, seed=2)])
    found = analyse([tmp_path / "short"], Choices(redraws=20, count=60, temperatures=(300, 5000)))
    assert not found.pressures[0].good[0]
    said = tables(found)
    assert "not to be trusted: the run ends too early for 300 to" in said


def test_runs_that_do_not_belong_together_are_refused(kit, folders, tmp_path) -> None:
    kit.write(tmp_path / "other", [kit.run(kit.TwoPhases(0.0), 20, 20, seed=2)])
    with pytest.raises(InputError, match="other: expected the pressures of"):
        analyse([folders[0], tmp_path / "other"], Choices(redraws=0))
    with pytest.raises(InputError, match="expected one run or more"):
        analyse([], Choices())
    (tmp_path / "other" / "P0.culled.extxyz").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"P0\.culled\.extxyz: no such file"):
        analyse([tmp_path / "other"], Choices(redraws=0, count=40, structures=True))


# ------------------------------------------------------------------ anesthetic


@pytest.mark.parametrize("at_once", [1, 3])
def test_anesthetic_has_the_same_samples(kit, at_once) -> None:
    """Its live points are those of every moment; its ln Z differs by the mean of t, D/2K."""
    pytest.importorskip("anesthetic")
    system = kit.Harmonic()
    run = kit.run(system, 60, 45, seed=2, at_once=at_once)
    samples = nested_samples(run)
    samples.beta = 2.0
    alive = samples.nlive.to_numpy()
    np.testing.assert_array_equal(alive[: run.culled], run.alive)
    np.testing.assert_array_equal(samples.enthalpy.to_numpy(), run.enthalpy)
    ours = curves(run, np.array([0.5]), 1.0)
    rate = 1.0 / run.alive[:at_once]
    shift = -ours.entropy[0] * (rate**2).sum() / rate.sum() / 2
    assert samples.logZ() == pytest.approx(ours.log_z[0] + shift, abs=0.15 * shift)
    assert samples.enthalpy.mean() == pytest.approx(ours.enthalpy[0], rel=0.02)


def test_walkers_are_born_under_the_limit_that_makes_room_for_them(kit) -> None:
    run = kit.run(kit.Harmonic(), 20, 10, seed=2)
    birth = birth_enthalpies(run)
    assert np.isinf(birth[:20]).all() and (birth[20:] > run.enthalpy[20:]).all()
    np.testing.assert_array_equal(birth[20:], run.enthalpy[: run.culled])
    cut = type(run)(run.enthalpy[: run.culled], run.volume[: run.culled], run.culled, 20)
    with pytest.raises(InputError, match="expected the live points at the end, got none"):
        birth_enthalpies(cut)


def test_a_missing_anesthetic_is_named(kit, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "anesthetic", None)
    with pytest.raises(MissingDependency, match="pip install anesthetic"):
        nested_samples(kit.run(kit.Harmonic(), 20, 10, seed=2))
