"""What goes wrong for users: one clear line, a non-zero exit, and nothing of theirs is lost."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acepot import load
from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.cli.main import main
from acepot.errors import ModelFileError
from acepot.io import modelfile
from acepot.io.structures import extxyz
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure

OUTPUTS = ("model.acepot", "report.json", "fit.toml", "worst.extxyz")


@pytest.fixture(scope="module")
def truth() -> Model:
    spec = resolve(BasisSpec(("Si",), order=2, degree=5.0, cutoff=4.0))
    size = spec.expansion().size
    return Model(spec, np.random.default_rng(0).normal(size=size) / 20, np.array([-3.0]))


@pytest.fixture
def data(truth: Model, tmp_path: Path) -> Path:
    """Twenty labelled cells of three atoms."""
    rng = np.random.default_rng(1)
    potential = Potential(truth, threads=1)
    cell = 4.2 * np.eye(3) + rng.normal(scale=0.2, size=(3, 3))
    sites = np.array([[0, 0, 0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55]]) @ cell
    structures = []
    for _ in range(20):
        structure = Structure([14] * 3, sites + rng.normal(scale=0.1, size=(3, 3)), cell, True)
        result = potential.compute(structure)
        structures.append(
            Structure(
                structure.numbers,
                structure.positions,
                cell,
                True,
                result.energy,
                result.forces,
                result.virial,
            )
        )
    path = tmp_path / "data.xyz"
    extxyz.write_structures(path, structures)
    return path


@pytest.fixture
def fitted(data: Path, tmp_path: Path) -> Path:
    """A folder with a good fit."""
    folder = tmp_path / "out"
    assert _fit(data, folder) == 0
    return folder


def _fit(source: Path, folder: Path, *more: str) -> int:
    size = [] if source.suffix == ".toml" else ["--order", "2", "--degree", "5", "--cutoff", "4"]
    return main(["fit", str(source), *size, "--out", str(folder), "--no-plots", *more])


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def _one_line(capsys: pytest.CaptureFixture[str], expected: str) -> None:
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("acepot: error: "), error
    assert expected in error[0], error[0]


def _nan_energy(text: str) -> str:
    head, _, rest = text.partition("REF_energy=")
    return f"{head}REF_energy=nan {rest.split(' ', 1)[1]}"


def _no_labels(text: str) -> str:
    for name, other in (("energy", "tag_one"), ("forces", "tag_two"), ("virial", "tag_three")):
        text = text.replace(f"REF_{name}", other)
    return text


def _short(text: str) -> str:
    return text[: len(text) // 2 - 40]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_nan_energy, "REF_energy"),
        (_no_labels, "tag_one, tag_three"),
        (_short, "line"),
        (lambda text: text.replace("Si ", "Qq ", 1), "Qq"),
    ],
)
def test_bad_data_stop_a_fit_and_leave_its_folder_alone(
    data: Path, fitted: Path, capsys, spoil: Callable[[str], str], expected: str
):
    before = _bytes(fitted)
    data.write_text(spoil(data.read_text()))
    capsys.readouterr()
    assert _fit(data, fitted) == 1
    _one_line(capsys, expected)
    assert _bytes(fitted) == before
    assert sorted(p.name for p in fitted.iterdir()) == sorted(OUTPUTS)


def test_a_typo_in_the_configuration_names_the_nearest_key(fitted: Path, capsys):
    before = _bytes(fitted)
    text = (fitted / "fit.toml").read_text().replace("degree =", "degre =", 1)
    typo = fitted.parent / "typo.toml"
    typo.write_text(text)
    capsys.readouterr()
    assert _fit(typo, fitted) == 1
    _one_line(capsys, "unknown key basis.degre; did you mean basis.degree?")
    assert _bytes(fitted) == before


def test_an_underdetermined_fit_without_prior_is_refused(data: Path, fitted: Path, capsys):
    before = _bytes(fitted)
    frames = data.read_text().splitlines()
    data.write_text("\n".join(frames[:5]) + "\n")  # one structure: 10 rows
    plain = data.with_name("plain.toml")
    plain.write_text(
        f'data = {{train = "{data.name}", fit = ["energy", "forces"]}}\n'
        "basis = {order = 2, degree = 5, cutoff = 4}\n"
        'solver = {kind = "qr", damping = 0}\n'
    )
    capsys.readouterr()
    assert _fit(plain, fitted) == 1
    _one_line(capsys, "underdetermined: ")
    assert _bytes(fitted) == before


def test_the_written_toml_repeats_the_fit(fitted: Path):
    before = _bytes(fitted)
    assert _fit(fitted / "fit.toml", fitted.parent / "again") == 0
    again = load(fitted.parent / "again" / "model.acepot")
    first = load(fitted / "model.acepot")
    np.testing.assert_array_equal(again.coefficients, first.coefficients)
    assert _bytes(fitted) == before


def test_a_fit_recovers_the_model_that_made_the_data(truth: Model, data: Path, fitted: Path):
    report = json.loads((fitted / "report.json").read_text())
    assert report["train"]["all"]["F"]["rmse"] < 1.0  # meV/Å
    assert report["train"]["all"]["F"]["count"] == 20 * 9
    # Labels, units and signs: the virial was not fitted, yet it comes out right.
    assert report["train"]["all"]["V"]["rmse"] < 5.0  # meV/atom


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda data: data[: len(data) // 2], "damaged or not an acepot model file"),
        (lambda data: data[:-3], "damaged or not an acepot model file"),
        (lambda data: data.replace(b"coefficients", b"coefficient$"), "damaged"),
        (lambda data: b"PK" + bytes(100), "damaged or not an acepot model file"),
        (lambda data: b"", "it looks like an empty file"),
    ],
)
def test_damaged_model_files_are_refused(data: Path, fitted: Path, capsys, spoil, expected):
    path = fitted / "model.acepot"
    path.write_bytes(spoil(path.read_bytes()))
    report = fitted.parent / "report.json"
    report.write_text("precious")
    capsys.readouterr()
    assert main(["eval", str(path), str(data), "--report", str(report)]) == 1
    _one_line(capsys, expected)
    assert report.read_text() == "precious"


def test_a_file_of_a_newer_version_says_upgrade(fitted: Path, capsys):
    path = fitted / "model.acepot"
    newer = fitted / "newer.acepot"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "header.json":
                text = json.dumps(json.loads(text) | {"version": 99}).encode()
            new.writestr(name, text)
    capsys.readouterr()
    assert main(["info", str(newer)]) == 1
    _one_line(capsys, "written by a newer acepot")


def test_an_unknown_element_names_those_the_model_knows(data: Path, fitted: Path, capsys):
    data.write_text(data.read_text().replace("Si ", "Ge ", 1))
    capsys.readouterr()
    report = fitted.parent / "r.json"
    assert main(["eval", str(fitted / "model.acepot"), str(data), "--report", str(report)]) == 1
    _one_line(capsys, "is Ge, which this model does not know; it was made for Si")
    assert not report.exists()


def test_interrupting_a_fit_keeps_what_was_there(data: Path, fitted: Path, monkeypatch, capsys):
    before = _bytes(fitted)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("acepot.fitting.fitted.solve", stop)
    assert _fit(data, fitted) == 130
    assert _bytes(fitted) == before
    assert sorted(p.name for p in fitted.iterdir()) == sorted(OUTPUTS)


def test_hostile_headers_are_refused_at_once(truth: Model):
    """A small file must not ask for a large basis, large arrays or recursion."""
    good = modelfile.model_bytes(truth)

    def changed(edit: Callable[[dict], None]) -> bytes:
        import io

        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
            for name in old.namelist():
                text = old.read(name)
                if name == "header.json":
                    header = json.loads(text)
                    edit(header)
                    text = json.dumps(header).encode()
                new.writestr(name, text)
        return out.getvalue()

    def spec(header: dict) -> dict:
        return header["basis"]["specification"]

    edits: list[Callable[[dict], object]] = [
        lambda h: spec(h).update(degree=[1e9] * 2),
        lambda h: spec(h).update(order=6, degree=[200.0] * 6),
        lambda h: spec(h)["cutoff"].update({"Si-Si": 1e9}),
        lambda h: spec(h)["radial"].update(nodes=10**12),
        lambda h: spec(h).update(wl=0.0),
        lambda h: spec(h).update(elements=["Si"] * 1000),
        lambda h: spec(h).update(extend_lower_orders=True, order=6, degree=[30.0] * 6),
        lambda h: h["arrays"]["coefficients"].update(shape=[2**39, 2**39]),
        lambda h: h["arrays"]["coefficients"].update(shape=[-1]),
        lambda h: h["arrays"]["coefficients"].update(dtype="|O"),
        lambda h: h["arrays"].update(e0=[]),
        lambda h: h.update(units={"length": "bohr"}),
        lambda h: h.update(basis=3),
        lambda h: h.update(version="1"),
    ]
    for number, edit in enumerate(edits):
        with pytest.raises(ModelFileError):
            modelfile.load(changed(edit))
            pytest.fail(f"edit {number} was accepted")
    with pytest.raises(ModelFileError):
        modelfile.load(changed(lambda h: h.update(provenance=None)))
    assert modelfile.model_bytes(modelfile.load(good)) == good
