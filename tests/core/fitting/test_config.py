"""The file of a fit: short to write, complete when dumped, strict when read."""

import tomllib

import pytest

from acepot import Structure
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.config import (
    Committee,
    Data,
    FitConfig,
    Restraint,
    Weights,
    dump_config,
    load_config,
)
from acepot.fitting.priors import Gaussian, Prior
from acepot.fitting.solvers import QR, Solver
from acepot.schema import to_mapping

EXAMPLE = """
[data]
train = ["train.xyz", "sub/more.xyz"]
test = "../test.xyz"
fit = ["energy", "forces", "virial"]
[e0]
Si = -158.5
[basis]
elements = ["Si"]
cutoff = 5.5
[weights]
default = {energy = 30, forces = 1, virial = 1}
liq = {energy = 10, forces = 0.66, virial = 0.25}
[prior]
kind = "gaussian"
[solver]
kind = "qr"
damping = 0.02
[restraint]
[committee]
size = 10
"""


def _load(tmp_path, text):
    path = tmp_path / "fit.toml"
    path.write_text(text)
    return load_config(path)


def test_smallest_file_is_one_line(tmp_path):
    config = _load(tmp_path, 'data.train = "a.xyz"')
    assert config == FitConfig(Data(train=str(tmp_path / "a.xyz")))
    assert config.weights == {"default": Weights(30.0, 1.0, 1.0)}
    assert config.basis == BasisSpec() and config.solver.kind == "blr" and config.e0 is None
    assert config.data.fit is None and config.recipe.tried == ("virial",)
    assert config.recipe.observables == ("energy", "forces") and config.restraint == Restraint()


def test_example_is_read(tmp_path):
    config = _load(tmp_path, EXAMPLE)
    assert config.data.train_files == (
        str(tmp_path / "train.xyz"), str(tmp_path / "sub" / "more.xyz"),
    )  # fmt: skip
    assert config.data.test_files == (str(tmp_path / ".." / "test.xyz"),)
    liquid, diamond = (Structure([14], [[0, 0, 0]], config_type=name) for name in ("liq", "dia"))
    assert config.weights_of(liquid) == Weights(10.0, 0.66, 0.25)
    assert config.weights_of(diamond) == Weights()
    assert config.solver == QR(damping=0.02)
    assert config.restraint == Restraint() and config.committee == Committee(10, 0)
    assert config.prior == Gaussian() and config.e0 == {"Si": -158.5}


def test_default_weights_hold_when_only_others_are_given(tmp_path):
    config = _load(tmp_path, 'data.train = "a"\n[weights.liq]\nenergy = 1\n')
    assert config.weights == {"default": Weights(), "liq": Weights(energy=1.0)}


def test_dump_repeats_the_fit(tmp_path):
    config = _load(tmp_path, EXAMPLE)
    text = dump_config(config, tmp_path)
    assert tomllib.loads(text)["data"]["test"] == "../test.xyz"
    assert _load(tmp_path, text) == config
    assert dump_config(_load(tmp_path, text), tmp_path) == text
    elsewhere = tmp_path / "models"
    elsewhere.mkdir()
    moved = _load(elsewhere, dump_config(config, elsewhere))
    assert [(elsewhere / name).resolve() for name in moved.data.train_files] == [
        (tmp_path / name).resolve() for name in config.data.train_files
    ]


def test_dump_writes_every_default(tmp_path):
    config = FitConfig(Data(train="a.xyz"))
    plain = tomllib.loads(dump_config(config))
    assert plain == to_mapping(config)
    assert plain["weights"]["default"] == {"energy": 30.0, "forces": 1.0, "virial": 1.0}
    assert plain["solver"] == {"kind": "blr", "floor": 1e-4}
    assert plain["basis"]["pair"]["radial"]["family"] == "legendre"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data.train = "a"\nbasis.cutof = 5', r"fit.toml: unknown key basis.cutof; did you mean b"),
        (
            'data.train = "a"\n[solver]\nkind = "blrr"',
            r"solver.kind: .* 'blr', .* did you mean 'blr'",
        ),
        (
            'data.train = "a"\n[solver]\nkind = "qr"\ndamping = -1',
            r"fit.toml: solver.damping: expected 0 or m",
        ),
        ('data.train = "a"\n[solver]\nfloor = 0', r"solver.floor: expected more than 0, got 0.0"),
        (
            'data.train = "a"\n[solver]\nfloor = 1e200',
            r"solver.floor: .* up to 1e\+50, got 1e\+200",
        ),
        ('data.train = "a"\n[solver]\nfloor = 1e-200', r"solver.floor: expected 1e-50 or more"),
        (
            'data.train = "a"\n[solver]\nkind = "qr"\ndamping = 1e200',
            r"solver.damping: .* up to 1e\+50",
        ),
        ('data.train = "a"\n[weights.liq]\nforces = 1e99', r"weights.liq.forces: .* up to 1e\+50"),
        ('data.train = "a"\ncommittee.size = 256', r"committee.size: .* up to 255, got 256"),
        ('data.train = "a"\n[weights.liq]\nforces = -1', r"weights.liq.forces: expected 0 or more"),
        ('data.train = "a"\n[prior]\nwl = 0', r"prior.wl: expected more than 0"),
        ('data.train = "a"\n[restraint]\ndistance = 0', r"restraint.distance: expected 0.0001 or"),
        ('data.train = "a"\ncommittee.size = -1', r"committee.size: expected 0 or more, got -1"),
        ('data.train = "a"\ndata.fit = []', r"data.fit: expected one or more of energy, forces"),
        ('data.train = "a"\ndata.fit = ["energy", "energy"]', r"data.fit: .* each once"),
        ('data.train = "a"\ndata.fit = ["force"]', r"data.fit\[0\]: .*; did you mean 'forces'"),
        ("data.train = []", r"data.train: expected at least one file name"),
        ('data.train = ""', r"data.train: expected file names, got an empty one"),
        ("", r"fit.toml: missing key data.train: expected string or list of string"),
        ("data.train = 'a'\nx = [1,\n", r"fit.toml: not valid TOML: .*at line 3"),
        ("data.train = 'a'\nx = = 3\n", r"fit.toml: not valid TOML: .*at line 2, column 5"),
    ],
)
def test_mistake_is_named_with_file_and_place(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        _load(tmp_path, text)


def test_missing_or_binary_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"none.toml: cannot read the configuration: No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"b.toml: expected UTF-8 text"):
        load_config(tmp_path / "b.toml")


FIRST_PRIORS = (
    "none", "algebraic", "exponential", "gaussian", "algebraic_ace1", "algebraic_06",
)  # fmt: skip
#: What the first release wrote, by hand of `dump_config`, for every kind of solver and prior.
OLD = """data.train = "a.xyz"
[prior]
kind = "{prior}"
p = 4.0
[solver]
kind = "{solver}"
damping = 0.0
tolerance = 1e-15
floor = 0.0001
"""


@pytest.mark.parametrize("prior", FIRST_PRIORS)
@pytest.mark.parametrize("solver", ["qr", "blr"])
def test_files_of_the_first_release_are_read(tmp_path, prior, solver):
    config = _load(tmp_path, OLD.format(prior=prior, solver=solver))
    assert config == FitConfig(
        Data(train=str(tmp_path / "a.xyz")),
        prior=Prior.kinds[prior](),
        solver=QR(0.0, 1e-15) if solver == "qr" else Solver.kinds[solver](),
    )
    assert _load(tmp_path, dump_config(config, tmp_path)) == config


def test_scales_of_priors_are_those_of_their_kind(tmp_path):
    text = 'data.train = "a"\nprior = {kind = "gaussian", wl = 2.0}'
    prior = _load(tmp_path, text).prior
    assert prior == Gaussian(wl=2.0) and prior.wn == pytest.approx(2**-0.5)
    with pytest.raises(InputError, match="unknown key prior.q"):
        _load(tmp_path, 'data.train = "a"\nprior.q = 2.0')


def test_keys_of_further_labels(tmp_path):
    text = '[data]\ntrain = "a"\nkeys = {dipole = "dft_dipole", charge = "Q"}'
    keys = _load(tmp_path, text).data.label_keys
    assert keys.others == {"dipole": "dft_dipole", "charge": "Q"} and keys.energy is None
    with pytest.raises(InputError, match=r"data.keys.energy: energy_key names this label"):
        _load(tmp_path, 'data = {train = "a", keys = {energy = "x"}}')
