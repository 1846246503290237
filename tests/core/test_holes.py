"""Holes are found where there are some, and not where there are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import acepot
from acepot import BasisSpec, Model, Potential, Structure, basis_size, resolve
from acepot.basis.choices import Pair
from acepot.cli.main import main
from acepot.holes.paths import Reach, cells, dimers, trimers
from acepot.holes.scan import scan
from acepot.io.structures import extxyz
from acepot.neighbours import nearest

ROOT = Path(__file__).parents[2]
SILICON = ROOT / "models" / "Si-mlearn" / "model.acepot"
OTHERS = ROOT.parent / "shared" / "data" / "pace_potentials"


def model(pair_sign: float | None, elements: tuple[str, ...] = ("Si",), seed: int = 3) -> Model:
    """Weak many-body terms, and a pair part whose leading function repels (+1) or attracts (-1)."""
    pair = Pair(degree=0) if pair_sign is None else Pair(degree=3)
    spec = resolve(BasisSpec(elements, order=2, degree=4.0, cutoff=5.0, pair=pair))
    coefficients = 1e-3 * np.random.default_rng(seed).normal(size=basis_size(spec)["total"])
    if pair_sign is not None:
        labels = spec.expansion().labels
        first = (labels.order == 0) & (labels.n[:, 0] == labels.n[labels.order == 0, 0].min())
        at = Potential(Model(spec, first.astype(float), np.zeros(len(elements))))
        dimer = Structure([14, 14], [[0, 0, 0], [0.9, 0.0, 0.0]])
        coefficients[labels.order == 0] = 0.0
        coefficients[first] = pair_sign * 10.0 / at.compute(dimer).energy
    return Model(spec, coefficients, np.zeros(len(elements)))


def test_atoms_that_repel_have_no_holes() -> None:
    found = scan(Potential(model(+1.0), threads=1))
    assert found.holes == []
    assert str(found) == "holes: none found (1 dimer, 7 trimers, 120 squeezed cells)"
    assert found.report()["found"] == 0


def test_the_shipped_silicon_has_no_holes() -> None:
    found = scan(Potential(acepot.load(SILICON), threads=1))
    assert found.holes == []
    assert found.shortest["Si-Si"] == pytest.approx(1.83, abs=0.2)


def test_attraction_to_zero_distance_is_a_hole() -> None:
    found = scan(Potential(model(-1.0), threads=1))
    assert {hole.kind for hole in found.holes} == {"dimer", "trimer", "squeezed cell"}
    (dimer,) = [hole for hole in found.holes if hole.kind == "dimer"]
    assert "deeper than any bond" in dimer.what and dimer.energy < -15 and dimer.barrier < 0.5
    assert str(found).startswith("holes: found ") and ", the worst: " in str(found)


def test_a_model_without_pair_part_has_no_core() -> None:
    found = scan(Potential(model(None), threads=1), short=True)
    (dimer,) = [hole for hole in found.holes if hole.kind == "dimer"]
    assert dimer.name == "Si-Si" and dimer.distance == pytest.approx(0.2)
    assert "no core" in dimer.what


def test_a_well_below_the_shortest_distance_is_a_hole_only_where_there_are_no_data() -> None:
    """Repulsion with a well at 1.5 Å, 2.3 eV deep: a bond if the data reach it, else a hole."""
    good = model(+1.0)
    labels = good.basis.expansion().labels
    energies = []
    r = np.linspace(1.0, 4.9, 400)
    for k in np.flatnonzero(labels.order == 0):
        one = replace(good, coefficients=np.eye(len(labels.order))[k][None, None])
        dimers_ = [Structure([14, 14], [[0, 0, 0], [x, 0, 0]]) for x in r]
        energies.append([e.energy for e in Potential(one).compute_all(dimers_)])
    target = 30 * (np.exp(-4 * (r - 1.0)) - 0.35 * np.exp(-1.6 * (r - 1.0)))
    weight = np.exp(-((r - 1.5) ** 2))
    found, *_ = np.linalg.lstsq(np.array(energies).T * weight[:, None], target * weight, rcond=None)
    coefficients = np.zeros(len(labels.order))
    coefficients[labels.order == 0] = found
    well = replace(good, coefficients=coefficients[None, None])
    e = [x.energy for x in Potential(well).compute_all(dimers_)]
    depth, at = -min(e), r[int(np.argmin(e))]
    assert depth > 1.0 and e[0] > 0, "the test needs such a model"

    def dimer_holes(shortest: float) -> list[str]:
        looked = scan(Potential(well), shortest={"Si-Si": shortest}, short=True)
        return [hole.what for hole in looked.holes if hole.kind == "dimer"]

    assert dimer_holes(0.95 * at) == []
    (what,) = dimer_holes(at + 0.6)
    assert "falls by" in what and "closer than in any data" in what


def test_atoms_come_no_closer_than_the_tables_begin() -> None:
    reach = Reach({}, {(8, 8): 0.9, (8, 14): 1.1, (14, 14): 0.1}, dict.fromkeys(
        [(8, 8), (8, 14), (14, 14)], 5.0))  # fmt: skip
    rng = np.random.default_rng(0)
    paths = [
        *dimers((8, 14), reach, 20),
        *trimers((8, 14), reach, 8, (180, 60), 100, rng),
        *cells((8, 14), reach, 8, 30, rng),
    ]
    assert len(paths) == 3 + 2 * 6 + 30
    for path in paths:
        last = path.structure(len(path.scales) - 1)
        for pair, distance in nearest(last, 3.0).items():
            assert distance > reach.begin[pair], (path.kind, path.name, pair)
        assert (np.diff(path.scales) < 0).all()


def test_equal_seeds_give_equal_cells() -> None:
    potential = Potential(model(None, ("O", "Si")), threads=1)
    first, same, other = (scan(potential, seed=s, short=True) for s in (1, 1, 2))
    assert first.report() == same.report() != other.report()


@pytest.mark.skipif(not OTHERS.is_dir(), reason=f"needs {OTHERS}")
def test_potentials_of_pacemaker_are_judged() -> None:
    copper = acepot.load(OTHERS / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace")
    assert scan(Potential(copper), short=True).holes == []
    (bare,) = (OTHERS / "pacemaker_tests").glob("Cu-I.converted.yace")
    holes = scan(Potential(acepot.load(bare)), short=True).holes
    assert any(hole.kind == "dimer" for hole in holes)
    (cell,) = [hole for hole in holes if hole.name.startswith("23 ")]
    assert cell.energy / len(cell.structure) < -1000  # -3,720 eV per atom without a barrier


# ------------------------------------------------------------------ the command


def test_check_tells_holes_by_its_exit_status_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    acepot.save(model(-1.0), "bad.acepot")
    acepot.save(model(+1.0), "good.acepot")
    assert main("check bad.acepot --holes --out found --report r.json".split()) == 1
    said = capsys.readouterr().out
    assert "HOLE dimer Si-Si: " in said and "... and " in said
    report = json.loads(Path("r.json").read_text())
    assert report["found"] == len(report["holes"]) > 3 and report["model"] == "bad.acepot"
    assert set(report["holes"][0]) == {"kind", "name", "what", "distance", "energy", "barrier"}
    written, _ = acepot.read_structures("found/holes.extxyz")
    assert len(written) == report["found"]
    assert Path("found/holes.png").read_bytes().startswith(b"\x89PNG")
    assert main("check good.acepot --holes --out found --no-plots".split()) == 0
    assert not Path("found/holes.extxyz").exists()
    assert capsys.readouterr().out.startswith("holes: none found (1 dimer, ")
    assert main("check good.acepot --out found".split()) == 1
    assert "--out: expected together with --holes" in capsys.readouterr().err


def test_check_takes_distances_from_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    acepot.save(model(+1.0), "good.acepot")
    dimer = Structure([14, 14], [[0, 0, 0], [1.25, 0.5, 0.2]])
    extxyz.write_structures("data.xyz", [dimer])
    assert main("check good.acepot data.xyz --holes --report r.json".split()) == 0
    distances = json.loads(Path("r.json").read_text())["shortest distances"]
    assert distances == {"Si-Si": pytest.approx(np.sqrt(1.25**2 + 0.29))}


def test_a_fit_looks_for_holes_in_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    cell = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
    sites = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]]) @ cell
    truth = Potential(model(+1.0))
    found = []
    for _ in range(8):
        one = Structure([14] * 4, sites + rng.normal(scale=0.1, size=(4, 3)), cell, True)
        result = truth.compute(one)
        found.append(replace(one, energy=result.energy, forces=result.forces))
    extxyz.write_structures("train.xyz", found)
    Path("fit.toml").write_text(
        '[data]\ntrain = "train.xyz"\n[basis]\norder = 2\ndegree = 4\ncutoff = 5.0\n'
        "[basis.pair]\ndegree = 0\n[restraint]\nweight = 0.0\n"
    )
    assert main("fit fit.toml --out out --no-plots".split()) == 0
    said = capsys.readouterr().out
    assert "\nholes: found " in said and "/model.acepot --holes shows where" in said
    holes = json.loads(Path("out/report.json").read_text())["holes"]
    assert holes["found"] >= 1 and holes["holes"][0]["kind"] in ("dimer", "trimer", "squeezed cell")
    assert holes["looked at"] == {"dimers": 1, "trimers": 3, "squeezed cells": 24}
