"""The TOML of a run: what is wrong is named, what is left open is chosen and written out."""

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from acepot.cli.main import main
from acepot.errors import InputError
from acepot.sampling.config import dump_config, load_config
from acepot.sampling.preparation import prepare
from acepot.units import BOLTZMANN, GIGAPASCAL

SILICON = Path(__file__).parents[3] / "models" / "Si-mlearn" / "model.acepot"
LEAST = f'model = "{SILICON}"\nstructure.composition = {{Si = 2}}\n'


def config(tmp_path, text, least=LEAST):
    path = tmp_path / "ns.toml"
    path.write_text(least + text)
    return load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[run]\nwalker = 3", r"unknown key run.walker; did you mean run.walkers\?"),
        ('[[moves]]\nkind = "galilea"', r"moves\[0\].kind: .*did you mean 'galilean'\?"),
        ('[[moves]]\nkind = "volume"\nlength = 3', r"unknown key moves\[0\].length"),
        ('[[moves]]\nkind = "atom"\nweight = 0', r"moves\[0\].weight: expected more than 0"),
        ('[[moves]]\nkind = "swap"\ncluster = 0', r"moves\[0\].cluster: expected 1 to 10000 atoms"),
        (
            '[[moves]]\nkind = "galilean"\nparts = 0',
            r"moves\[0\].parts: expected 1 to 10000, got 0",
        ),
        (
            '[[moves]]\nkind = "galilean"\nturn = 4',
            r"moves\[0\].turn: expected 0 to π radians, got 4",
        ),
        ("[ensemble.masses]\nSi = 0", "ensemble.*masses.Si: expected more than 0 amu"),
        ("[run]\nwalkers = 10\nbatch = 10", "run.batch: expected 1 to 9, got 10"),
        ("[ensemble]\npressures = []", "ensemble.pressures: expected one or more.*got none"),
        ('[ensemble]\nelements = ["Xx"]', "ensemble.*expected a chemical symbol"),
        ("[ensemble.potentials]\nSi = [1, 2]", "potentials.Si: expected one number, or one for"),
        ("[committee]\nevery = 0\nforce_threshold = 1", "force_threshold: expected none where"),
        ("[guards.min_distance]\nSi-Si = -1", r"min_distance.Si-Si: expected 0 to 1000 Å, got -1"),
        ("[stop]\ntemperature = 0", "stop.temperature: expected more than 0 K"),
        ("[exchange]\nattempts = 0", "exchange: expected positive numbers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        config(tmp_path, text)


@pytest.mark.parametrize("structure", ["", "structure.composition = {Si = 2}\nstructure.file='x'"])
def test_atoms_are_given_once(tmp_path, structure):
    got = "both" if structure else "neither"
    with pytest.raises(InputError, match=f"structure.composition: expected .* got {got}"):
        config(tmp_path, structure + "\n[structure]" * (not structure), 'model = "m"\n')


def test_what_is_left_open_is_chosen_and_stays_when_it_is_read_again(tmp_path):
    prepared = prepare(config(tmp_path, "[ensemble]\npressures = [0, 5]"))
    text = dump_config(prepared.config, tmp_path)
    table = tomllib.loads(text)
    assert [one["kind"] for one in table["moves"]] == ["galilean", "volume", "shear", "stretch"]
    assert table["stop"]["temperature"] == 300.0
    assert table["guards"]["min_distance"]["Si-Si"] == pytest.approx(1.646)
    assert table["ensemble"]["volume_max"] == pytest.approx(15 * 2.4**3 / np.sqrt(2), abs=0.1)
    (tmp_path / "again.toml").write_text(text)
    again = load_config(tmp_path / "again.toml")
    assert dump_config(prepare(again).config, tmp_path) == text


def test_units_are_converted_once(tmp_path):
    text = """
        [ensemble]
        pressures = [2.0]
        kinetic_temperature = 4000
        [[moves]]
        kind = "hamiltonian"
        [stop]
        temperature = 500
    """
    prepared = prepare(config(tmp_path, text))
    assert prepared.ensemble.pressures.tolist() == [2.0 * GIGAPASCAL]
    assert prepared.ensemble.kinetic.tolist() == [1.5 * 2 * BOLTZMANN * 4000]
    assert prepared.settings.stop.kt == BOLTZMANN * 500


@pytest.mark.parametrize(("given", "mass"), [("", 28.085), ("masses = {Si = 1, H = 2}", 1.0)])
def test_masses_are_those_of_the_elements_unless_they_are_given(tmp_path, given, mass):
    text = f'[ensemble]\n{given}\n[[moves]]\nkind = "hamiltonian"'
    assert prepare(config(tmp_path, text)).ensemble.masses[14] == mass


def test_momenta_without_a_pressure_need_a_temperature(tmp_path):
    text = '[ensemble]\npressures = [0]\n[[moves]]\nkind = "hamiltonian"'
    with pytest.raises(InputError, match="kinetic_temperature: expected the hottest temperature"):
        prepare(config(tmp_path, text))


def test_a_fixed_shape_is_that_of_the_file(tmp_path):
    cell = "5 0 0 1 6 0 0 1 7"
    frame = f'2\nLattice="{cell}" Properties=species:S:1:pos:R:3\nSi 0 0 0\nSi 1 1 2\n'
    (tmp_path / "two.xyz").write_text(frame)
    least = f'model = "{SILICON}"\nstructure.file = "two.xyz"\n'
    free = prepare(config(tmp_path, "", least)).ensemble
    np.testing.assert_array_equal(free.prior.cell, np.eye(3))
    fixed = prepare(config(tmp_path, '[ensemble]\nshape = "fixed"', least)).ensemble
    wanted = np.array(cell.split(), float).reshape(3, 3)
    np.testing.assert_allclose(fixed.prior.cell, wanted / np.cbrt(210.0), rtol=1e-14)
    assert fixed.numbers.tolist() == [14, 14]


def test_the_shape_moves_of_a_fixed_shape_are_left_out(tmp_path):
    text = '[ensemble]\nshape = "fixed"\nvolume = "fixed"\nvolume_max = 20'
    prepared = prepare(config(tmp_path, text))
    assert [one.kind for one in prepared.config.moves] == ["galilean"]
    text = text.replace("volume_max", "pressures = [0, 1]\nvolume_max")
    with pytest.raises(InputError, match="pressures: expected one where the volume is fixed"):
        prepare(config(tmp_path, text))


def test_the_command_leaves_what_it_says(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    text = """
        [ensemble]
        pressures = [0.1, 10]
        [run]
        walkers = 8
        length = 12
        batch = 3
        shape_rounds = 10
        threads = 1
        [tuning]
        interval = 1000
        pilots = 4
        [stop]
        iterations = 20
        [output]
        every = 5
        culled = 10
    """
    config(tmp_path, text)
    words = ["ns", str(tmp_path / "ns.toml"), "--out", str(tmp_path / "run"), "--watch"]
    assert main(words) == 0, capsys.readouterr().err
    assert "2 atoms, 0.1, 10 GPa, 8 walkers each, to iteration 20" in capsys.readouterr().out
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files >= {
        "ns.toml", "log.csv", "ns.png", "ns.html", "P0.energies", "P1.energies", "P0.live",
        "P1.culled.extxyz", "checkpoint.json",
    }  # fmt: skip
    page = (tmp_path / "run" / "ns.html").read_text()
    assert page.count("<svg") == 6 and "finished" in page and "<script" not in page
    assert main(words) == 0
    assert "this run of 20 iterations is finished" in capsys.readouterr().out


def test_h5py_is_asked_for_where_it_is_missing(tmp_path, capsys, monkeypatch):
    config(tmp_path, "")
    for name in ("run", "journey", "hdf5"):
        monkeypatch.delitem(sys.modules, f"acepot.sampling.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert main(["ns", str(tmp_path / "ns.toml"), "--out", str(tmp_path / "run")]) == 1
    assert "needs h5py: pip install acepot[sampling]" in capsys.readouterr().err
