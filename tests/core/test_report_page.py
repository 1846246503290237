"""The page of a fit, its file for chemiscope, and structures as pictures."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import Structure
from acepot.fitting.config import Data, FitConfig
from acepot.fitting.folder import fit_to_folder
from acepot.report import chemiscope
from acepot.report.drawing import balls
from acepot.schema import from_mapping

COPPER = Path(__file__).parent / "fitting" / "labels" / "data" / "copper.xyz"
CONFIG = {
    "data": {"train": str(COPPER), "test_fraction": 0.2},
    "basis": {"order": 2, "degree": 5, "cutoff": 5.0},
    "committee": {"size": 6},
}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, acepot.Fit]:
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("fit") / "Cu"
    config = from_mapping(FitConfig, CONFIG)
    assert isinstance(config.data, Data)
    return folder, fit_to_folder(config, folder, say=lambda _line: None, threads=1)


def loaded(path: Path) -> dict[str, Any]:
    return json.loads(gzip.decompress(path.read_bytes()), parse_constant=pytest.fail)


def test_chemiscope_gets_every_atom_with_error_and_sigma(
    fitted: tuple[Path, acepot.Fit],
) -> None:
    folder, fit = fitted
    data = loaded(folder / "structures.chemiscope.json.gz")
    found = {d.where: d for part in fit.deviations.values() for d in part}
    names = data["properties"]["name"]["values"]
    assert sorted(names) == sorted(found) and len(names) == 14
    assert data["properties"]["part"]["values"].count("test") == 3
    atoms = [(e["structure"], e["center"]) for e in data["environments"]]
    assert atoms == [(k, a) for k, s in enumerate(data["structures"]) for a in range(s["size"])]
    for name, one in data["properties"].items():
        assert len(one["values"]) == (len(atoms) if one["target"] == "atom" else 14), name
        assert len({type(value) for value in one["values"]}) == 1, name
    first = 0
    for k, (name, structure) in enumerate(zip(names, data["structures"], strict=True)):
        d, part = found[name], slice(first, first + structure["size"])
        first = part.stop
        of = {key: one["values"] for key, one in data["properties"].items()}
        np.testing.assert_allclose(structure["x"], d.structure.positions[:, 0], atol=1e-5)
        np.testing.assert_allclose(np.reshape(structure["cell"], (3, 3)), d.structure.cell)
        off = np.linalg.norm(d.result.forces - d.structure.forces, axis=1)
        np.testing.assert_allclose(of["force error"][part], off, atol=1e-12)
        members = fit.potential.compute(d.structure, committee=True)
        assert members.committee is not None
        apart = members.committee.forces - members.forces
        sigma = np.sqrt((apart**2).sum(axis=2).mean(axis=0))
        np.testing.assert_allclose(of["force sigma"][part], sigma, atol=1e-9)
        energies = (members.committee.energies - members.energy) / len(d.structure)
        assert of["energy sigma"][k] == pytest.approx(1000 * np.sqrt(np.mean(energies**2)))


def test_chemiscope_itself_reads_it(fitted: tuple[Path, acepot.Fit]) -> None:
    chemi = pytest.importorskip("chemiscope", reason="pip install acepot[dev]")
    data = loaded(fitted[0] / "structures.chemiscope.json.gz")
    structures = [
        Structure(np.full(s["size"], 29), np.transpose([s[x] for x in "xyz"]))
        for s in data["structures"]
    ]
    environments = [(e["structure"], e["center"], e["cutoff"]) for e in data["environments"]]
    ase = pytest.importorskip("ase")
    made = chemi.create_input(
        [ase.Atoms(s.numbers, s.positions) for s in structures],
        properties=data["properties"],
        environments=environments,
        settings=data["settings"],
        metadata=data["meta"],
    )
    assert made["properties"] == data["properties"]
    assert made["environments"] == data["environments"]


def test_too_many_structures_are_a_part_with_the_worst(
    fitted: tuple[Path, acepot.Fit], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = fitted[1].deviations
    monkeypatch.setattr(chemiscope, "_ATOMS", 30)
    few = chemiscope.chosen(parts)
    assert 0 < sum(len(d.structure) for _, d in few) <= 30 and few[0][0] == "test"
    assert chemiscope.chosen({"train": []}) == []


def test_the_page_of_a_fit_has_its_numbers(fitted: tuple[Path, acepot.Fit]) -> None:
    folder, fit = fitted
    text = (folder / "report.html").read_text(encoding="utf-8")
    for part in ("train", "test"):
        assert f"{fit.report[part]['all']['F']['rmse']:.3f}</td>" in text
        for one in fit.report["worst"][part]:
            assert f"<td>{one['structure']}</td>" in text
    assert "<script" not in text and not re.search(r"(src|href)=", text)
    assert "nan" not in text.lower().replace("finance", "")
    assert "sigma up to" in text and "structures.chemiscope.json.gz" in text


def test_a_fit_repeated_gives_the_same_bytes(
    fitted: tuple[Path, acepot.Fit], tmp_path: Path
) -> None:
    fit_to_folder(
        from_mapping(FitConfig, CONFIG), tmp_path / "Cu", say=lambda _line: None, threads=1
    )
    for name in ("report.html", "structures.chemiscope.json.gz", "worst.extxyz"):
        assert (tmp_path / "Cu" / name).read_bytes() == (fitted[0] / name).read_bytes(), name


def test_atoms_are_drawn_from_back_to_front_in_the_colour_of_their_error() -> None:
    cell = np.array([[6.0, 0.5, 0.0], [0.0, 5.0, 0.3], [0.2, 0.0, 4.0]])
    positions = np.array([[0, 0, 0], [2.0, 1.0, 0.5], [3.0, 4.0, 3.0]])
    text = balls(Structure([29, 8, 14], positions, cell, True), np.array([0.0, 0.5, 1.0]), "eV/Å")
    tree = ET.fromstring(text)
    assert len(tree.findall("line")) == 12
    circles = tree.findall("circle")
    assert {c[0].text for c in circles} == {
        "Cu, atom 0: 0 eV/Å", "O, atom 1: 0.5 eV/Å", "Si, atom 2: 1 eV/Å",
    }  # fmt: skip
    light = {c[0].text.split(",")[0]: re.search(r"(\d+)%\)", c.get("style"))[1] for c in circles}
    assert light == {"Cu": "92", "O": "68", "Si": "45"}
    for c in circles:
        assert 0 <= float(c.get("cx")) <= 300 and 0 <= float(c.get("cy")) <= 300
