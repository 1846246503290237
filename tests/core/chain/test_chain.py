"""The report of the chain: intervals that hold, sums by squares, numbers in the files named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot.chain.level import Contribution, Quantity, judged
from acepot.chain.run import chain
from acepot.chain.settings import ChainSettings, dump_config, load_config
from acepot.cli.main import main
from acepot.errors import InputError
from acepot.friction.data import FrictionData
from acepot.friction.evaluator import FrictionEvaluator, shapes_of
from acepot.friction.fit import filled
from acepot.friction.readers import write_friction
from acepot.friction.settings import CouplingSettings, empty_part
from acepot.model import FrictionModel
from acepot.properties.values import read_references
from acepot.units import AMU, BOLTZMANN

DATA = Path(__file__).parents[3] / "examples" / "data"
ALUMINIUM = Path(__file__).parents[3] / "benchmarks" / "data" / "aluminium"


def test_intervals_hold_with_the_factor_of_other_structures() -> None:
    rng = np.random.default_rng(1)
    sigmas = [rng.uniform(0.1, 3.0, size=500) for _ in range(40)]
    errors = [2.5 * s * rng.normal(size=len(s)) for s in sigmas]
    found = judged("x", "eV", errors, sigmas)
    assert found.scale == pytest.approx(2.5, rel=0.02)
    held = found.holds
    assert [held["68"], held["90"], held["95"]] == pytest.approx([68, 90, 95], abs=0.8)
    # A structure that errs far more than the other one does not make its own intervals wide.
    two = judged("x", "eV", [errors[0], 100 * sigmas[0]], [sigmas[0], sigmas[0]])
    assert two.holds["95"] == pytest.approx(50.0)


def test_contributions_add_up_by_squares() -> None:
    parts = tuple(Contribution(name, s, "", "f", "k") for name, s in (("a", 3.0), ("b", 4.0)))
    one = Quantity("x", 1.0, "eV", "a", "f", "k", parts)
    assert one.sigma == pytest.approx(5.0)
    assert one.largest is not None and one.largest.level == "b"
    assert np.isnan(Quantity("x", 1.0, "eV", "a", "f", "k").sigma)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A potential of silicon with its posterior, and a model of friction with other tensors."""
    home = tmp_path_factory.mktemp("chain")
    train, _ = acepot.read_structures(DATA / "Si_train.extxyz.xz")
    (home / "fit.toml").write_text(
        '[data]\ntrain = "train.extxyz"\n[basis]\norder = 2\ndegree = 8\n'
        "[committee]\ncalibrate = true\n"
    )
    acepot.write_structures(home / "train.extxyz", train[::3])
    acepot.write_structures(home / "test.extxyz", train[1::6])
    assert main(["fit", str(home / "fit.toml"), "--out", str(home / "Si"), "--no-plots"]) == 0
    part = empty_part(CouplingSettings(channels=2), ["Si"])
    c = np.random.default_rng(2).normal(size=(sum(shapes_of(part)), 2))
    acepot.save(FrictionModel((filled(part, 0.05 * c),)), home / "friction.acepot")
    true = FrictionEvaluator(FrictionModel((filled(part, 0.052 * c),)))
    least, rng = min(train, key=len), np.random.default_rng(3)
    small = [
        least.moved(least.positions + rng.normal(scale=0.05, size=least.positions.shape))
        for _ in range(4)
    ]
    tensors = [FrictionData(s, true.gamma(s), np.arange(len(s))) for s in small]
    write_friction(home / "tensors.npz", tensors)
    (home / "errors.toml").write_text('[structures."Si:diamond"]\na = 0.5\n"no such" = 1\n')
    (home / "values.toml").write_text('[structures."Si:diamond"]\na = 5.469\n')
    (home / "chain.toml").write_text(
        'structure = "Si:diamond"\n'
        '[reference]\nname = "PBE"\nvalues = "values.toml"\nerrors = "errors.toml"\n'
        '[potential]\nmodel = "Si/model.acepot"\nposterior = "Si/posterior.acepot"\n'
        'test = ["test.extxyz"]\nmembers = 5\n'
        'skip = ["phonons", "expansion", "interstitials", "vacancies", "surfaces"]\n'
        '[friction]\nmodel = "friction.acepot"\ntest = ["tensors.npz"]\n'
    )
    return home


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    """chain.json of a run by the command."""
    assert main(["chain", str(folder / "chain.toml"), "--out", str(folder / "out")]) == 0
    return json.loads((folder / "out" / "chain.json").read_text())


def found_in(home: Path, file: str, key: str) -> float:
    """The number that a file has under a key of the report."""
    path = Path(file) if Path(file).is_absolute() else home / file
    if path.suffix == ".toml":
        table = read_references(path).structures
        _, structure, name = key.split(".", 2)
        return float(table[structure][name])
    value = json.loads(path.read_text())
    for part in re.findall(r"[^.\[\]]+(?:\.[^.\[\]]+)*?(?=\.|\[|$)|\[[^\]]+\]", key):
        if not part.startswith("["):
            value = value[part]
        elif part[1:-1].isdigit():
            value = value[int(part[1:-1])]
        else:
            value = next(one for one in value if one["name"] == part[1:-1])
    return float(value)


def test_every_number_is_in_the_file_that_is_named(folder: Path, told: dict[str, Any]) -> None:
    factor = {one["what"]: one["scale"] for level in told["levels"] for one in level["errors"]}
    seen = set()
    for one in told["quantities"]:
        assert one["value"] == pytest.approx(found_in(folder / "out", one["file"], one["key"]))
        squares = 0.0
        for part in one["contributions"]:
            number = found_in(folder / "out", part["file"], part["key"])
            seen.add((one["level"], part["level"]))
            if one["level"] == part["level"] == "potential":
                label = re.search(r"the factor of (\w+)", part["how"])
                assert label is not None
                number *= factor[label[1]]
            if (one["level"], part["level"]) != ("friction", "potential"):  # has a slope, too
                assert part["sigma"] == pytest.approx(number, rel=1e-12)
            squares += part["sigma"] ** 2
        if one["contributions"]:
            assert one["sigma"] == pytest.approx(squares**0.5)
    assert seen >= {
        ("potential", "potential"), ("potential", "reference"), ("friction", "friction"),
        ("friction", "potential"),
    }  # fmt: skip
    a = next(one for one in told["quantities"] if one["name"] == "a")
    assert a["largest"] == "reference" and a["reference"] == 5.469
    assert told["reference values inside"]["68"] == [1, 1]


def test_friction_knows_its_error(folder: Path, told: dict[str, Any]) -> None:
    """All coefficients are too small by 1 - 1/1.04: γ by that squared, wherever it is."""
    (level,) = [one for one in told["levels"] if one["name"] == "friction"]
    part = level["errors"][0]
    off = 1 - (0.05 / 0.052) ** 2
    assert off / 2 < part["scale"] < 2 * off
    one = next(q for q in told["quantities"] if q["name"] == "kT/γ Si")
    gamma = BOLTZMANN * 300.0 / AMU / one["value"]
    own = next(c for c in one["contributions"] if c["level"] == "friction")
    assert own["sigma"] / one["value"] == pytest.approx(part["rmse"] / gamma)


def test_the_page_names_every_level_and_what_is_unknown(folder: Path, told: dict[str, Any]) -> None:
    text = (folder / "out" / "chain.html").read_text()
    for word in ("σ reference", "σ potential", "σ friction", "kT/γ Si", "no such", "SHA-256"):
        assert word in text
    again = load_config(folder / "out" / "chain.toml")
    assert again.potential is not None and Path(again.potential.model).exists()


@pytest.mark.slow
def test_levels_of_aluminium(tmp_path: Path) -> None:
    """Fermi level with its error; a metal has no gap."""
    fit = str(ALUMINIUM / "aluminium.toml")
    assert main(["hamiltonian", "fit", fit, "--out", str(tmp_path / "Al")]) == 0
    (tmp_path / "chain.toml").write_text(
        'structure = "Al:fcc:4.05"\n[hamiltonian]\nmodel = "Al/model.acepot"\n'
        f'test = ["{ALUMINIUM / "al_test1.npz"}", "{ALUMINIUM / "al_test4.npz"}"]\n'
    )
    levels, quantities = chain(
        load_config(tmp_path / "chain.toml"), tmp_path / "out", say=lambda _: None
    )
    assert [one.name for one in quantities] == ["Fermi level"]
    assert 0 < quantities[0].sigma < 0.02
    for stated, held in levels[1].errors[0].holds.items():
        assert held == pytest.approx(float(stated), abs=5)


def test_what_cannot_be_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a table potential, hamiltonian or friction"):
        ChainSettings("Si:diamond")
    config = load_config(folder / "chain.toml")
    (tmp_path / "again.toml").write_text(dump_config(config, tmp_path))
    again = load_config(tmp_path / "again.toml")
    assert again.friction is not None and config.friction is not None
    assert Path(again.friction.model).samefile(config.friction.model)
    text = (folder / "chain.toml").read_text().split("[potential]")[0]
    friction = f'[friction]\nmodel = "{folder}/friction.acepot"\ntest = ["{folder}/tensors.npz"]\n'
    (tmp_path / "values.toml").touch()
    (tmp_path / "errors.toml").touch()
    (tmp_path / "bare.toml").write_text(text + friction)
    with pytest.raises(InputError, match="structure: Si:diamond: expected a lattice constant"):
        chain(load_config(tmp_path / "bare.toml"), tmp_path / "out", say=lambda _: None)
