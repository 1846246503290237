"""The command line: what each verb leaves behind, says and returns.

Most runs are in this process, which is fast; a few go through a shell's eyes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import acepot
from acepot import Model, Potential, Structure
from acepot.basis.bond import BondSpec, bond_parts, resolve_bonds
from acepot.basis.choices import Pair, resolve
from acepot.basis.irrep import irreps
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.cli.main import main
from acepot.io.structures import extxyz

ROOT = Path(__file__).parents[3]
FILES = {"model.acepot", "report.json", "fit.toml", "worst.extxyz"}
PICTURES = {"parity.png", "dimers.png", "report.html", "structures.chemiscope.json.gz"}
SIZE = ("--order", "2", "--degree", "4", "--cutoff", "4")
VERBS = (
    "data",
    "data-select",
    "fit",
    "eval",
    "info",
    "check",
    "plot",
    "convert",
    "export",
    "build",
)

Run = Callable[..., "Said"]


class Said:
    """What a run returned and printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def error(self) -> str:
        """The one line of an error, without traceback, of a run that failed."""
        assert self.status == 1, (self.status, self.out, self.err)
        assert self.err.count("\n") == 1 and "Traceback" not in self.out + self.err, self.err
        assert self.err.startswith("acepot: error: "), self.err
        return self.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process."""

    def call(*words: object) -> Said:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # argparse
            status = int(stop.code or 0)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return call


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    """Labelled cells of O and Si in two groups, and both atoms alone."""
    spec = resolve(BasisSpec(("O", "Si"), order=2, degree=4.0, cutoff=4.0, pair=Pair(degree=3)))
    rng = np.random.default_rng(1)
    coefficients = rng.normal(size=basis_size(spec)["total"]) / 20
    potential = Potential(Model(spec, coefficients, np.array([-5.0, -3.0])), threads=1)
    cell = np.array([[4.3, 0.3, -0.2], [0.5, 4.6, 0.4], [-0.3, 0.2, 4.4]])
    sites = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55], [0.55, 0.05, 0.5]]) @ cell
    found = []
    for k in range(12):
        positions = sites + rng.normal(scale=0.12, size=(4, 3))
        numbers = rng.permutation([8, 8, 14, 14])
        found.append(Structure(numbers, positions, cell, True, config_type=("cold", "hot")[k % 2]))
    found += [Structure([z], [[0, 0, 0]], config_type="isolated") for z in (8, 14)]
    results = potential.compute_all(found)
    *cells, o, si = zip(found, results, strict=True)
    full = [replace(s, energy=r.energy, forces=r.forces, virial=r.virial) for s, r in cells]
    return full + [replace(s, energy=r.energy) for s, r in (o, si)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, structures: list[Structure]) -> Path:
    """A folder with train.xyz and test.xyz, in which commands run."""
    monkeypatch.chdir(tmp_path)
    extxyz.write_structures("train.xyz", [*structures[:8], *structures[-2:]])
    extxyz.write_structures("test.xyz", structures[8:-2])
    return tmp_path


@pytest.fixture
def fitted(here: Path, run: Run) -> Path:
    """The folder of a finished fit."""
    assert run("fit", "train.xyz", *SIZE, "--out", "Si", "--no-plots").status == 0
    return here / "Si"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write_toml(path: Path, **tables: Any) -> Path:
    config = {
        "data": {"train": "train.xyz"},
        "basis": {"elements": ["O", "Si"], "order": 2, "degree": 4.0, "cutoff": 4.0},
        "e0": {"O": -5.0, "Si": -3.0},
    }
    for name, table in tables.items():
        config[name] = {**config.get(name, {}), **table}
    path.write_text(acepot.schema.to_toml(config))
    return path


def assert_errors(table: dict[str, Any], groups: set[str], quantities: set[str]) -> None:
    """The structure that docs and scripts rely on, exactly."""
    assert set(table) == {"all", *groups}
    assert next(iter(table)) == "all"
    for group, entries in table.items():
        expected = {"E"} if group == "isolated" else quantities
        assert set(entries) == expected, group
        for entry in entries.values():
            assert list(entry) == ["mae", "rmse", "count"]
            assert all(np.isfinite(x) and x >= 0 for x in entry.values())
            assert isinstance(entry["count"], int) and entry["mae"] <= entry["rmse"] * (1 + 1e-12)


# ------------------------------------------------------------------ help


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_has_an_example_that_parses(verb: str, run: Run) -> None:
    said = run(verb, "--help")
    assert said.status == 0 and said.err == ""
    examples = re.findall(rf"^ +acepot ({verb} .+?)(?:  .*)?$", said.out, re.MULTILINE)
    assert examples, said.out
    for example in examples:
        acepot.cli.main.parser().parse_args(example.split())


def test_the_first_help_shows_an_example_of_every_verb(run: Run) -> None:
    said = run("--help")
    for verb in VERBS:
        assert f"acepot {verb} " in said.out
        assert re.search(rf"^ +{verb}(  |$)", said.out, re.MULTILINE), f"{verb} is not described"


def test_every_option_says_what_it_does(run: Run) -> None:
    for verb in VERBS:
        parser = acepot.cli.main.parser()
        (verbs,) = (a for a in parser._actions if hasattr(a, "choices") and a.choices)
        for action in verbs.choices[verb]._actions:
            assert action.help, f"{verb}: {action.option_strings or action.dest}"


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out == f"acepot {acepot.__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["fitt"], ["fit"], ["fit", "x.xyz"], ["eval", "m"], ["fit", "x", "--outt", "y"],
              ["fit", "x.xyz", "--out", "y", "--order", "three"], ["check"]]
)  # fmt: skip
def test_wrong_usage_is_status_two_and_shows_the_usage(words: list[str], run: Run) -> None:
    said = run(*words)
    assert said.status == 2 and "usage: acepot" in said.err and "Traceback" not in said.err


# ------------------------------------------------------------------ fit


def test_a_fit_leaves_its_files_and_nothing_else(fitted: Path) -> None:
    assert set(snapshot(fitted)) == FILES
    assert acepot.load(fitted / "model.acepot").numbers == (8, 14)
    written = tomllib.loads((fitted / "fit.toml").read_text())
    assert written["data"]["train"] == "../train.xyz"
    assert written["e0"] == {"O": -5.0, "Si": -3.0}
    assert {"data", "basis", "e0", "weights", "prior", "solver", "restraint", "committee"} == set(
        written
    )


def test_a_fit_with_plots_draws_them_and_says_what_it_does(here: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    said = run("fit", "train.xyz", "--test", "test.xyz", *SIZE, "--out", "Si")
    assert said.status == 0 and said.err == ""
    assert set(snapshot(here / "Si")) == FILES | PICTURES
    for part in (
        "train.xyz: 10 structures", "test.xyz: 4 structures", "functions for O Si", "cold",
        "hot", "isolated", "saved, reloaded and compared: Si/model.acepot",
    ):  # fmt: skip
        assert part in said.out, part


def test_several_files_and_patterns_are_fitted_together(here: Path, run: Run) -> None:
    said = run("fit", "train.xyz", "te*.xyz", *SIZE, "--out", "Si", "--no-plots")
    assert said.status == 0, said.err
    written = tomllib.loads((here / "Si" / "fit.toml").read_text())["data"]
    assert written["train"] == ["../train.xyz", "../test.xyz"]
    report = json.loads((here / "Si" / "report.json").read_text())
    assert report["train"]["all"]["E"]["count"] == 14


def test_a_part_of_the_data_beside_files_is_held_out(here: Path, run: Run) -> None:
    words = ("--test", "0.25", "--test", "test.xyz", *SIZE, "--out", "Si", "--no-plots")
    said = run("fit", "train.xyz", *words)
    assert said.status == 0, said.err
    assert "test: 2 of 10 structures, 25 % of each config type (seed 0)" in said.out
    report = json.loads((here / "Si" / "report.json").read_text())
    assert report["test"]["all"]["E"]["count"] == 6
    for wrong in (("1.5",), ("0.1", "0.2"), ("0",)):
        tests = [word for part in wrong for word in ("--test", part)]
        said = run("fit", "train.xyz", *tests, "--out", "No")
        assert said.status == 1 and "--test: expected files, or one part" in said.err


def test_a_toml_file_stands_alone(here: Path, run: Run) -> None:
    write_toml(here / "fit.toml")
    said = run("fit", "fit.toml", "train.xyz", "--out", "Si")
    assert said.status == 1
    assert "fit.toml: a TOML file names all data; got train.xyz beside it" in said.err


def test_the_report_has_the_documented_structure(here: Path, run: Run) -> None:
    words = ("--test", "test.xyz", *SIZE, "--out", "Si", "--no-plots")
    assert run("fit", "train.xyz", *words).status == 0
    report = json.loads((here / "Si" / "report.json").read_text(), parse_constant=pytest.fail)
    groups, quantities = {"cold", "hot", "isolated"}, {"E", "F", "V"}
    assert_errors(report["train"], groups, quantities)
    assert_errors(report["test"], groups - {"isolated"}, quantities)
    assert report["train"]["all"]["E"]["count"] == 10
    assert report["train"]["all"]["F"]["count"] == 8 * 12
    assert report["train"]["cold"]["V"]["count"] == 4 * 6
    assert report["test"]["hot"]["F"]["count"] == 2 * 12
    assert report["fitted"] == ["energy", "forces", "virial"]
    assert report["virials"]["decision"] == "fitted" and report["virials"]["rows"] == 8 * 6
    assert report["check"]["structures"] == 10
    assert set(report["e0"]) == {"O", "Si"}
    assert (
        report["basis"]["total"] == acepot.load(here / "Si" / "model.acepot").coefficients.shape[2]
    )


@pytest.mark.parametrize("option", ["--virial", "--no-virial"])
def test_virials_are_fitted_or_not_with_their_option(here: Path, run: Run, option: str) -> None:
    assert run("fit", "train.xyz", *SIZE, option, "--out", "V", "--no-plots").status == 0
    report = json.loads((here / "V" / "report.json").read_text())
    virial = ["virial"] if option == "--virial" else []
    assert report["fitted"] == ["energy", "forces", *virial] and "virials" not in report


def test_the_written_configuration_repeats_the_fit_to_the_byte(here: Path, run: Run) -> None:
    write_toml(here / "first.toml", committee={"size": 2})
    assert run("fit", "first.toml", "--out", "deep/A", "--no-plots").status == 0
    assert run("fit", "deep/A/fit.toml", "--out", "B", "--no-plots").status == 0
    assert run("fit", "B/fit.toml", "--out", "B", "--no-plots").status == 0
    one, two = snapshot(here / "deep" / "A"), snapshot(here / "B")
    assert one["model.acepot"] == two["model.acepot"]
    assert one["report.json"] == two["report.json"]
    assert b'train = "../../train.xyz"' in one["fit.toml"]
    assert b'train = "../train.xyz"' in two["fit.toml"]


def test_a_fit_from_data_and_its_written_configuration_are_one(
    fitted: Path, here: Path, run: Run
) -> None:
    assert run("fit", "Si/fit.toml", "--out", "again", "--no-plots").status == 0
    one = acepot.load(fitted / "model.acepot")
    two = acepot.load(here / "again" / "model.acepot")
    assert one.coefficients.tobytes() == two.coefficients.tobytes()
    assert one.e0.tobytes() == two.e0.tobytes() and one.basis == two.basis
    # Where E0 came from is the one thing that differs: it is now given.
    differing = {k for k in one.provenance if one.provenance[k] != two.provenance[k]}
    assert differing <= {"e0 origin"}


def test_a_configuration_with_comments_is_not_replaced(here: Path, run: Run) -> None:
    own = write_toml(here / "fit.toml")
    text = "# why this cut-off: see the paper\n" + own.read_text()
    own.write_text(text)
    said = run("fit", "fit.toml", "--out", ".", "--no-plots")
    assert said.status == 0 and own.read_text() == text
    assert "fit.toml has comments and stays; every default is in fit.resolved.toml" in said.out
    assert run("fit", "fit.resolved.toml", "--out", "again", "--no-plots").status == 0
    assert (here / "again" / "model.acepot").read_bytes() == (here / "model.acepot").read_bytes()


@pytest.mark.parametrize("value", ["'a#b.xyz'", '"a#b.xyz"'])
def test_a_number_sign_in_a_name_is_no_comment(value: str, here: Path, run: Run) -> None:
    (here / "a#b.xyz").write_bytes((here / "train.xyz").read_bytes())
    text = write_toml(here / "x.toml").read_text().replace('"train.xyz"', value)
    (here / "fit.toml").write_text(text)
    assert run("fit", "fit.toml", "--out", ".", "--no-plots").status == 0
    assert not (here / "fit.resolved.toml").exists()


def test_options_mean_what_the_file_says(here: Path, run: Run) -> None:
    words = ("--order", 2, "--degree", "4,3.5", "--cutoff", 3.9, "--solver", "qr",
             "--keys", "energy=REF_energy,forces=REF_forces")  # fmt: skip
    assert run("fit", "train.xyz", *words, "--out", "A", "--no-plots").status == 0
    config = acepot.fitting.config.load_config(here / "A" / "fit.toml")
    assert config.basis.degree == (4.0, 3.5) and config.solver.kind == "qr"
    assert set(config.basis.cutoff.values()) == {3.9}
    assert (
        config.data.label_keys.energy == "REF_energy"
        and config.data.label_keys.forces == "REF_forces"
    )


def test_threads_do_not_change_a_byte(fitted: Path, here: Path, run: Run) -> None:
    said = run("fit", "train.xyz", *SIZE, "--threads", 2, "--out", "two", "--no-plots")
    assert said.status == 0
    assert snapshot(fitted) == snapshot(here / "two")


# ------------------------------------------------------------------ eval, info, check, plot


def test_eval_writes_errors_and_predictions(fitted: Path, here: Path, run: Run) -> None:
    said = run("eval", "Si/model.acepot", "test.xyz", "--report", "r.json", "--out", "p.xyz")
    assert said.status == 0 and said.err == ""
    report = json.loads((here / "r.json").read_text())
    assert list(report) == ["data"]
    assert_errors(report["data"], {"cold", "hot"}, {"E", "F", "V"})
    labels, _ = extxyz.read("test.xyz")
    again, count = extxyz.read("p.xyz")
    assert count.energy_keys == ("REF_energy",), "predictions are never taken for labels"
    potential = Potential(acepot.load(fitted / "model.acepot"), threads=1)
    text = (here / "p.xyz").read_text()
    error = []
    for label, other in zip(labels, again, strict=True):
        np.testing.assert_array_equal(label.forces, other.forces)
        result = potential.compute(label)
        assert f"acepot_energy={result.energy!r}" in text
        error.append((result.energy - label.energy) / len(label))
    rmse = 1000 * np.sqrt(np.mean(np.square(error)))
    assert report["data"]["all"]["E"]["rmse"] == pytest.approx(rmse)
    assert "cold" in said.out and "predictions: p.xyz" in said.out


def test_eval_of_structures_without_labels_gives_predictions(
    fitted: Path, here: Path, run: Run, structures: list[Structure]
) -> None:
    bare = [replace(s, energy=None, forces=None, virial=None) for s in structures[:2]]
    extxyz.write_structures("bare.xyz", bare)
    assert run("eval", "Si/model.acepot", "bare.xyz", "--out", "p.xyz").status == 0
    assert (here / "p.xyz").read_text().count("acepot_virial") == 2
    words = ("eval", "Si/model.acepot", "bare.xyz", "--out", "q.xyz", "--report", "r.json")
    assert "found none; its per-structure keys are config_type" in run(*words).error()
    assert not (here / "q.xyz").exists() and not (here / "r.json").exists()


def test_eval_without_a_file_to_write_prints_the_table(fitted: Path, here: Path, run: Run) -> None:
    before = sorted(here.rglob("*"))
    said = run("eval", "Si/model.acepot", "test.xyz")
    assert said.status == 0 and sorted(here.rglob("*")) == before
    written = run("eval", "Si/model.acepot", "test.xyz", "--report", "r.json")
    assert said.out == written.out and "E (meV/atom)" in said.out
    extxyz.write_structures("bare.xyz", [Structure([14], [[0, 0, 0]])])
    assert "bare.xyz: " in run("eval", "Si/model.acepot", "bare.xyz").error()


def test_eval_in_mixed_precision_says_what_it_costs(fitted: Path, here: Path, run: Run) -> None:
    assert run("eval", "Si/model.acepot", "test.xyz", "--out", "p.xyz").status == 0
    said = run("eval", "Si/model.acepot", "test.xyz", "--out", "q.xyz", "--precision", "mixed")
    assert "mixed precision errs on perturbed crystals by up to" in said.out
    (exact, _), (mixed, _) = extxyz.read("p.xyz"), extxyz.read("q.xyz")
    text = (here / "p.xyz").read_text(), (here / "q.xyz").read_text()
    assert len(exact) == len(mixed) and text[0] != text[1]


def test_eval_refuses_targets_before_the_work(fitted: Path, here: Path, run: Run) -> None:
    before = {path: path.read_bytes() for path in (here / "test.xyz", fitted / "model.acepot")}
    model = ("eval", "Si/model.acepot", "test.xyz")
    assert "already used" in run(*model, "--out", "test.xyz").error()
    assert "already used" in run(*model, "--out", "./Si/../test.xyz").error()
    assert "already used" in run(*model, "--report", "Si/model.acepot").error()
    assert "already used" in run(*model, "--report", "x", "--out", "x").error()
    said = run(*model, "--report", "nowhere/r.json")
    assert "a folder that exists" in said.error() and said.out == ""
    assert before == {path: path.read_bytes() for path in before}


def test_info_of_a_model_and_of_a_configuration(fitted: Path, here: Path, run: Run) -> None:
    said = run("info", "Si/model.acepot")
    assert said.status == 0
    for part in ("elements", "O Si", "E0 Si", "-3 eV", "committee", "none", "digest",
                 "shortest distances"):  # fmt: skip
        assert part in said.out, part
    size = acepot.load(fitted / "model.acepot").coefficients.shape[2]
    mine = write_toml(here / "mine.toml", basis={"bonds_once": True})
    for config in ("Si/fit.toml", mine):
        said = run("info", config)
        assert said.status == 0 and f"{size} (" in said.out
    (here / "short.toml").write_text('data.train = "train.xyz"\nbasis.order = 1\n')
    assert "O Si" in run("info", "short.toml").out


def test_info_of_the_compiled_evaluator(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from acepot.evaluate.native import instruction_sets

    monkeypatch.delenv("ACEPOT_INSTRUCTION_SET", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    lines = run("info", "--native").out.splitlines()
    values = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in lines}
    here = instruction_sets()
    assert values["instruction set"].startswith(f"{here[-1]} (the best")
    assert values["on this machine"] == ", ".join(here)
    assert set(here) <= set(values["in this build"].split(", "))
    assert values["threads"] == "3 (OMP_NUM_THREADS=3)"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "(all processors; OMP_NUM_THREADS sets them)" in run("info", "--native").out
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", here[0])
    assert f"{here[0]} (forced by ACEPOT_INSTRUCTION_SET)" in run("info", "--native").out
    monkeypatch.setenv("ACEPOT_INSTRUCTION_SET", "avx9000")
    error = run("info", "--native").error()
    assert f"ACEPOT_INSTRUCTION_SET: expected one of {', '.join(here)}, got 'avx9000'" in error


def test_info_of_models_of_tensors_and_of_bonds(here: Path, run: Run) -> None:
    spec = resolve(
        BasisSpec(
            ("O", "Si"), order=2, degree=3.0, cutoff=4.0, pair=Pair(degree=0), irreps=("0e", "1o")
        )
    )
    sizes = acepot.lower(spec).sizes
    rng = np.random.default_rng(4)
    c = tuple(rng.normal(size=(3, 1, n)) for n in sizes)
    names = (("charge",), ("dip\x1bole",))
    acepot.save(acepot.TensorModel(spec, c, names, "e", {"structures": 7}), "sites.acepot")
    said = run("info", "sites.acepot")
    assert said.status == 0, said.err
    lines = {
        line[: line.index("  ")]: line.split("  ")[-1].strip() for line in said.out.splitlines()
    }
    assert lines["kind"] == "tensors of sites" and lines["elements"] == "O Si"
    assert lines["outputs 0e"] == f"charge (of {sizes[0]} functions)"
    assert lines["outputs 1o"] == rf"dip\x1bole (of {sizes[1]} functions)"
    assert lines["functions"].startswith(f"{sum(sizes)} (")
    assert (lines["unit"], lines["committee"], lines["structures"]) == ("e", "2 members", "7")

    bonds = resolve_bonds(BondSpec(degree=3, max_l=1), spec)
    wanted = irreps(("1o",))
    parts = bond_parts(spec.symmetries, sizes, 2 * spec.constant, 2, bonds, wanted[0])
    count = sum(one.size for one in parts)
    c = (rng.normal(size=(1, 2, count)),)
    acepot.save(acepot.BondModel(spec, bonds, wanted, c), "bonds.acepot")
    said = run("info", "bonds.acepot")
    assert said.status == 0, said.err
    for part in ("tensors of bonds", "3 radial functions, l up to 1", "O-Si 4",
                 f"0, 1 (of {count} functions)", "none"):  # fmt: skip
        assert part in said.out, part


def test_info_describes_one_thing(fitted: Path, run: Run) -> None:
    assert "expected a file or --native" in run("info").error()
    assert "expected a file or --native" in run("info", "--native", "Si/model.acepot").error()


def test_info_writes_out_what_could_steer_a_terminal(fitted: Path, run: Run) -> None:
    model = acepot.load(fitted / "model.acepot")
    nasty = {"note": "a\x1b[2Jb\rc\ud800d", "\x1b]0;title\x07": "x"}
    acepot.save(replace(model, provenance=nasty), "nasty.acepot")
    said = run("info", "nasty.acepot")
    assert said.status == 0 and not set(said.out) & set("\x1b\r\x07")
    assert r"a\x1b[2Jb\rc\ud800d" in said.out


def test_check_tells_good_models_from_bad_ones(
    fitted: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("check", "Si/model.acepot")
    assert said.status == 0 and said.out.endswith("all laws hold\n") and "FAIL" not in said.out
    given = run("check", "Si/model.acepot", "test.xyz")
    assert given.status == 0 and "test.xyz frame 3" in given.out
    honest = Potential.compute_all

    def lying(self: Potential, *args: Any, **options: Any) -> Any:
        return [replace(r, forces=1.01 * r.forces) for r in honest(self, *args, **options)]

    monkeypatch.setattr(Potential, "compute_all", lying)
    said = run("check", "Si/model.acepot")
    assert said.status == 1 and "FAIL crystal: forces are -dE/dr" in said.out
    assert re.search(r"^\d+ laws do not hold$", said.out, re.MULTILINE)


def test_plot_draws_dimers_and_with_data_parity(fitted: Path, here: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    said = run("plot", "Si/model.acepot", "--out", "a/b")
    assert said.status == 0 and said.out == "a/b/dimers.png\n"
    assert set(snapshot(here / "a" / "b")) == {"dimers.png"}
    said = run("plot", "Si/model.acepot", "test.xyz", "--out", "a")
    assert said.status == 0 and (here / "a" / "parity.png").is_file()
    (here / "file").write_text("x")
    error = run("plot", "Si/model.acepot", "--out", "file").error()
    assert "file: cannot make this folder" in error


def test_plot_survives_a_model_with_odd_provenance(fitted: Path, here: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    model = acepot.load(fitted / "model.acepot")
    for odd in ("text", [1], {"O-O": "near", "Si-Si": None, "O-Si": 1.5}):
        acepot.save(replace(model, provenance={"shortest distances": odd}), "odd.acepot")
        assert run("plot", "odd.acepot", "--out", "plots").status == 0


# ------------------------------------------------------------------ errors


def no_labels(text: str) -> str:
    return text.replace("REF_energy", "tag_a").replace("REF_forces", "tag_b").replace(
        "REF_virial", "tag_c"
    )  # fmt: skip


BAD_DATA: dict[str, tuple[Callable[[str], str], str]] = {
    "no labels": (no_labels, "its per-structure keys are tag_a, tag_c, config_type"),
    "a label that is not a number": (
        lambda t: re.sub(r"REF_energy=\S+", "REF_energy=nan", t, count=1), "REF_energy"
    ),
    "two keys that could be the energy": (
        lambda t: re.sub(r"REF_energy=", "dft_energy=1.0 qm_energy=", t), "dft_energy"
    ),
    "an element nobody knows": (lambda t: t.replace("Si ", "Xx ", 1), "Xx"),
    "half a frame": (lambda t: t[: len(t) // 2], "frame"),
    "an empty file": (lambda t: "", "empty"),
    "words": (lambda t: "once upon a time\n", "expected the number of atoms"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_fitted_leave_everything_as_it_was(
    name: str, fitted: Path, here: Path, run: Run
) -> None:
    spoil, expected = BAD_DATA[name]
    before = snapshot(fitted)
    text = (here / "train.xyz").read_text()
    (here / "bad.xyz").write_text(spoil(text))
    error = run("fit", "bad.xyz", *SIZE, "--out", "Si", "--no-plots").error()
    assert expected in error and "bad.xyz" in error
    assert snapshot(fitted) == before


BAD_TOML: dict[str, tuple[str, str]] = {
    "unknown key": ('data.train = "train.xyz"\nbasis.degre = 4', "did you mean basis.degree?"),
    "unknown table": ('data.train = "train.xyz"\n[solvr]', "did you mean solver?"),
    "wrong type": ('data.train = "train.xyz"\nbasis.order = "two"', "expected integer"),
    "wrong word": ('data.train = "train.xyz"\nsolver.kind = "rigde"', "did you mean 'ridge'?"),
    "no data": ("[basis]\norder = 2", "missing key data.train"),
    "no TOML": ("data.train = ", "not valid TOML: Invalid value (at line"),
    "absent data": ('data.train = "absent.xyz"', "absent.xyz: no such file"),
    "order 9": ('data.train = "train.xyz"\nbasis.order = 9', "basis.order: expected 1 to 6"),
    "a negative weight": ('data.train = "train.xyz"\nweights.hot.forces = -1', "hot.forces"),
    "an element that is not in the list": (
        'data.train = "train.xyz"\nbasis.elements = ["Si"]', "the data hold O"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOML)
def test_a_wrong_configuration_names_the_key_and_leaves_no_trace(
    name: str, here: Path, run: Run
) -> None:
    text, expected = BAD_TOML[name]
    (here / "bad.toml").write_text(text)
    error = run("fit", "bad.toml", "--out", "new", "--no-plots").error()
    assert expected in error
    assert not (here / "new").exists() or list((here / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["fit", "absent.toml"], "absent.toml: cannot read the configuration"),
        (["fit", "absent.xyz"], "absent.xyz: no such file"),
        (
            ["fit", "train.xyz", "--degree", "four"],
            "--degree: expected numbers separated by commas",
        ),
        (["fit", "train.xyz", "--degree", "4,4,4,4"], "expected one number or 3"),
        (["fit", "train.xyz", "--degree", "nan"], "degree: expected"),
        (["fit", "train.xyz", "--cutoff", "-1"], "--cutoff of"),
        (["fit", "train.xyz", "--keys", "enrgy=x"], "--keys: expected energy|forces|stress|virial"),
        (["fit", "train.xyz", "--keys", "energy=x"], "--keys energy=x occurs in no frame"),
        (["fit", "train.xyz", "--order", "0"], "order: expected 1 to 6"),
    ],
)
def test_wrong_options_are_one_line(words: list[str], expected: str, here: Path, run: Run) -> None:
    assert expected in run(*words, "--out", "new", "--no-plots").error()


def test_options_beside_a_configuration_are_refused(here: Path, run: Run) -> None:
    write_toml(here / "mine.toml")
    words = ("fit", "mine.toml", "--out", "new", "--no-plots")
    error = run(*words, "--test", "test.xyz", "--order", 3).error()
    assert "--test, --order: not together with a TOML file; write it into mine.toml" in error
    assert run(*words, "--virial").error() and run(*words, "--keys", "energy=e").error()


def test_too_few_data_for_least_squares_leave_everything_as_it_was(
    fitted: Path, here: Path, run: Run, structures: list[Structure]
) -> None:
    before = snapshot(fitted)
    extxyz.write_structures("few.xyz", structures[:1])
    (here / "plain.toml").write_text(
        'data = {train = "few.xyz", fit = ["energy", "forces"]}\n'
        "basis = {order = 2, degree = 4, cutoff = 4}\n"
        'solver = {kind = "qr", damping = 0}\n'
    )
    error = run("fit", "plain.toml", "--out", "Si", "--no-plots").error()
    assert "underdetermined: 16 rows for" in error and snapshot(fitted) == before


def test_least_squares_as_it_comes_needs_no_more_rows_than_functions(
    here: Path, run: Run, structures: list[Structure]
) -> None:
    """What was chosen is said, is in the report, and the file of the fit repeats it."""
    extxyz.write_structures("few.xyz", structures[:1])
    said = run("fit", "few.xyz", *SIZE, "--solver", "qr", "--out", "few", "--no-plots").out
    solver = json.loads((here / "few" / "report.json").read_text())["solver"]
    assert 2 * solver["effective parameters"] < solver["rows"] < solver["functions"]
    assert solver["damping chosen by"] == "generalised cross-validation"
    assert (
        f"qr: damping {solver['damping']:.2g} by generalised cross-validation, "
        f"{solver['effective parameters']:.0f} of {solver['functions']} effective parameters"
    ) in said
    run("fit", "few/fit.toml", "--out", "again", "--no-plots")
    assert (here / "again" / "fit.toml").read_text() == (here / "few" / "fit.toml").read_text()
    first, again = (acepot.load(here / name / "model.acepot") for name in ("few", "again"))
    assert first.coefficients.tobytes() == again.coefficients.tobytes()


def test_models_that_cannot_be_used_are_one_line(fitted: Path, here: Path, run: Run) -> None:
    good = (fitted / "model.acepot").read_bytes()
    (here / "half.acepot").write_bytes(good[: len(good) // 2])
    (here / "text.acepot").write_text("a model\n")
    with zipfile.ZipFile(fitted / "model.acepot") as old:
        with zipfile.ZipFile(here / "newer.acepot", "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name == "header.json":
                    content = re.sub(rb'"version": \d', b'"version": 8', content)
                new.writestr(name, content)
    expected = {
        "half.acepot": "damaged or not an acepot model file",
        "text.acepot": "neither",
        "newer.acepot": "pip install --upgrade acepot",
        "absent.acepot": "absent.acepot: no such file",
        "Si": "Si: expected a file, got a folder",
    }
    for name, text in expected.items():
        for words in (["info", name], ["check", name], ["eval", name, "test.xyz", "--out", "o"]):
            assert text in run(*words).error(), words
    assert not (here / "o").exists()


def test_convert_says_what_it_did_and_what_it_cannot(fitted: Path, here: Path, run: Run) -> None:
    said = run("convert", "Si/model.acepot", "Si.yace", "--tolerance", "1e-9")
    assert said.status == 0 and said.err == "" and "PACE .yace" in said.out, said.err
    assert "tolerance 1e-09" in said.out and "eV/atom" in said.out
    assert run("convert", "Si.yace", "copy", "--to", "acepot").status == 0
    for words in (["info", "Si.yace"], ["info", "copy"], ["check", "Si.yace"]):
        assert run(*words).status == 0
    assert run("eval", "Si.yace", "test.xyz", "--report", "r.json").status == 0
    assert "read only" in run("convert", "Si.yace", "Si.ace").error()
    assert "another file" in run("convert", "Si.yace", "./Si.yace").error()


def test_an_unknown_element_names_the_known_ones(
    fitted: Path, here: Path, run: Run, structures: list[Structure]
) -> None:
    extxyz.write_structures(
        "ge.xyz", [structures[0], replace(structures[1], numbers=[8, 8, 14, 32])]
    )
    error = run("eval", "Si/model.acepot", "ge.xyz", "--report", "r.json").error()
    assert "Ge, which this model does not know; it was made for O, Si" in error
    assert not (here / "r.json").exists()


def test_debug_shows_the_traceback(here: Path, run: Run) -> None:
    with pytest.raises(acepot.AceError, match="no such file"):
        run("fit", "absent.xyz", "--out", "x", "--no-plots", "--debug")


def test_an_unexpected_error_is_one_line_that_asks_for_a_report(
    fitted: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("acepot.cli.info.describe_model", broken)
    said = run("info", "Si/model.acepot")
    assert said.status == 1 and said.err.count("\n") == 1
    assert "unexpected ZeroDivisionError: one two (--debug shows where; please report" in said.err
    with pytest.raises(ZeroDivisionError):
        run("info", "Si/model.acepot", "--debug")


# ------------------------------------------------------------------ nothing is lost


@pytest.mark.parametrize(
    ("where", "problem", "status"),
    [
        ("acepot.fitting.fitted.solve", KeyboardInterrupt(), 130),
        ("acepot.fitting.assembly.assemble", KeyboardInterrupt(), 130),
        ("acepot.fitting.folder.verify", KeyboardInterrupt(), 130),
        ("acepot.fitting.folder.modelfile.model_bytes", KeyboardInterrupt(), 130),
        ("acepot.fitting.fitted.solve", MemoryError("no memory"), 1),
        ("acepot.fitting.folder.verify", acepot.errors.ConvergenceError("differs"), 1),
    ],
)
def test_a_fit_that_stops_leaves_the_earlier_one(
    where: str, problem: BaseException, status: int, fitted: Path, run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    before = snapshot(fitted)

    def stop(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(where, stop)
    said = run("fit", "train.xyz", *SIZE, "--out", "Si", "--no-plots")
    assert said.status == status and "Traceback" not in said.err
    assert said.err.strip().count("\n") == 0
    assert snapshot(fitted) == before


def test_a_disk_that_fills_up_leaves_the_earlier_files(
    fitted: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(fitted)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = run("fit", "train.xyz", "--order", 1, "--out", "Si", "--no-plots").error()
    assert "No space left on device" in error and "please report" not in error
    assert snapshot(fitted) == before


def test_a_model_that_does_not_reproduce_its_fit_is_not_written(
    fitted: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(fitted)
    honest = Potential.compute_all
    for wrong in (1e-4, np.nan):

        def lying(self: Potential, *args: Any, _by: float = wrong, **options: Any) -> Any:
            found = honest(self, *args, **options)
            inside = sys._getframe(2).f_code.co_name == "verify"
            return [replace(r, forces=r.forces + _by) for r in found] if inside else found

        monkeypatch.setattr(Potential, "compute_all", lying)
        error = run("fit", "train.xyz", *SIZE, "--out", "Si", "--no-plots").error()
        assert "the reloaded model differs from the fit" in error
        assert snapshot(fitted) == before


# ------------------------------------------------------------------ as a shell sees it


def shell(*words: str, module: str = "acepot", **more: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )


def test_the_module_runs_and_its_status_is_that_of_the_verb(fitted: Path) -> None:
    for module in ("acepot", "acepot.cli"):
        done = shell("info", "Si/model.acepot", module=module)
        assert done.returncode == 0 and done.stderr == "" and "elements" in done.stdout
    done = shell("info", "absent")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "acepot: error: absent: no such file\n"
    done = shell("info", "absent", "--debug")
    assert done.returncode == 1 and "Traceback" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_terminals_without_our_letters_do_not_stop_a_run(fitted: Path, encoding: str) -> None:
    done = shell("info", "Si/model.acepot", env={"PYTHONIOENCODING": encoding}, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert ("Å" in done.stdout) == (encoding != "ascii") and "digest" in done.stdout


def test_a_reader_that_hangs_up_is_no_error(fitted: Path) -> None:
    command = f"{sys.executable} -m acepot.cli check Si/model.acepot | head -1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, shell=True, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.count("\n") == 1 and done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_from_the_keyboard_ends_a_fit_and_keeps_files(
    fitted: Path, here: Path, structures: list[Structure]
) -> None:
    before = snapshot(fitted)
    extxyz.write_structures("many.xyz", structures[:8] * 250)  # takes long enough to be interrupted
    words = ["fit", "many.xyz", "--order", "3", "--degree", "9", "--out", "Si", "--no-plots"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "acepot.cli", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Jobs in the background inherit an ignored SIGINT, which Python would leave ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.startswith("basis:"):
                break
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(timeout=120) == 130
    assert "acepot: stopped; files that were not complete are as they were" in said
    assert "Traceback" not in said
    assert snapshot(fitted) == before


# ------------------------------------------------------------------ labels


TWO_KEYS = """2
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:dft_force:R:3:gap_force:R:3 \
dft_energy=-5 gap_energy=-5.1
Si 0 0 0 .1 .2 .3 0 0 0
O 2 2 0 -.1 -.2 -.3 0 0 0
""".replace("\\\n", "")


def test_whoever_has_no_toml_file_is_told_of_the_option_for_keys(fitted: Path, run: Run) -> None:
    Path("two.xyz").write_text(TWO_KEYS)
    option = "say which: --keys energy=dft_energy,forces=dft_force"
    model = fitted / "model.acepot"
    assert option in run("eval", model, "two.xyz", "--report", "r.json").error()
    assert option in run("plot", model, "two.xyz", "--out", "plots").error()
    assert option in run("fit", "two.xyz", "--out", "two").error()
    named = option.removeprefix("say which: --keys ")
    assert run("eval", model, "two.xyz", "--report", "r.json", "--keys", named).status == 0
    Path("two.toml").write_text('data.train = "two.xyz"')
    said = run("fit", "two.toml", "--out", "two").error()
    assert 'in a TOML file [data] energy_key = "dft_energy", forces_key = "dft_force"' in said


def test_labels_are_left_out_and_converted_on_the_command_line(here: Path, run: Run) -> None:
    options = ("--units", "energy=Ha,forces=-eV/Å", "--ignore", "virial")
    said = run("fit", "train.xyz", *SIZE, "--out", "wrong", "--no-plots", *options)
    assert said.status == 1 and "labels that cannot be right: train.xyz frame" in said.err
    said = run("fit", "train.xyz", *SIZE, "--out", "ok", "--no-plots", "--accept-labels", *options)
    assert said.status == 0 and "0 virials" in said.out
    assert "said before the fit:\nwarning: train.xyz frame" in said.out
    written = (here / "ok" / "fit.toml").read_text()
    assert 'ignore = ["virial"]' in written and "accept_labels = true" in written
    assert (
        run("fit", "train.xyz", "--out", "x", "--units", "energy=m")
        .error()
        .startswith("acepot: error: --units.energy: expected a unit")
    )
