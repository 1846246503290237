"""The short TOML files and command lines whose results are frozen, and what is kept of a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_QR = """[data]
train = "train.extxyz"
{data}
[basis]
order = 2
degree = 4.0
wl = 1.0
cutoff = 3.6
r0 = 1.9
{basis}
[prior]
kind = "{prior}"
{scales}
[solver]
{solver}
"""


def _fit(
    prior: str, solver: str, basis: str = "", data: str = "", scales: str = "", more: str = ""
) -> str:
    text = _QR.format(prior=prior, solver=solver, basis=basis, data=data, scales=scales)
    return text + more


_DAMPED = 'kind = "qr"\ndamping = 0.05'
_BLR = 'kind = "blr"'
_ALL = 'fit = ["energy", "forces", "virial"]\ntest = "test.extxyz"'

#: Every solver with every prior; every transform, family, envelope and table between them.
FITS: dict[str, str] = {
    "smallest": '[data]\ntrain = "train.extxyz"\n'
    '[basis]\norder = 1\ndegree = 4\n[solver]\nkind = "qr"\n',
    "qr-none": _fit("none", 'kind = "qr"\ntolerance = 1e-12'),
    "qr-algebraic": _fit(
        "algebraic",
        _DAMPED,
        '[basis.radial]\nfamily = "jacobi"\n'
        '[basis.radial.transform]\nkind = "polynomial"\np = 2.0\noffset = 0.8',
        _ALL,
        "p = 2.5\nwl = 1.5\nwn = 0.8",
        "[committee]\nsize = 3\nseed = 4\n",
    ),
    "qr-exponential": _fit(
        "exponential", _DAMPED, '[basis.radial.transform]\nkind = "morse"\np = 1.7', _ALL
    ),
    "qr-gaussian": _fit(
        "gaussian",
        _DAMPED,
        '[basis.radial]\nfamily = "legendre"\n[basis.radial.transform]\nkind = "identity"\n'
        "[basis.radial.envelope]\ninner = 0\nouter = 3",
        scales="wl = 2.0\nwn = 3.0",
    ),
    "qr-algebraic_ace1": _fit(
        "algebraic_ace1",
        _DAMPED,
        '[basis.radial]\nfamily = "cheb_exp_cos"\nexponent = 2.3\nsmoothing = 0.4\n'
        '[basis.pair]\ndegree = 3\ncutoff = 4.0\n[basis.pair.radial]\nfamily = "sbessel"',
    ),
    "qr-algebraic_06": _fit(
        "algebraic_06",
        _DAMPED,
        '[basis.radial]\nfamily = "cheb_pow"\nexponent = 2.0\n'
        '[basis.pair.radial.envelope]\nkind = "r_shifted"\nouter = 1',
        _ALL,
        more="[restraint]\nweight = 0.1\ndistance = 0.05\n",
    ),
    "blr-none": _fit("none", _BLR, '[basis.radial]\nfamily = "sbessel"'),
    "blr-algebraic": _fit(
        "algebraic",
        _BLR + "\nfloor = 1e-3",
        "[basis.pair]\ndegree = 4",
        _ALL,
        more="[e0]\nO = -1.5\n[weights.default]\nenergy = 20.0\n[weights.molecule]\nforces = 0.5\n"
        "virial = 0.25\n[committee]\nsize = 4\nseed = 9\n",
    ),
    "blr-exponential": _fit(
        "exponential",
        _BLR,
        'inner = {"Si-O" = 0.4, default = 0.2}\n[basis.radial.transform]\np = 1.0\nq = 3.0',
    ),
    "blr-gaussian": _fit("gaussian", _BLR, 'formulation = "canonical"\nmax_l = 1\nmax_n = [4, 2]'),
    "blr-algebraic_ace1": _fit(
        "algebraic_ace1",
        _BLR,
        "functions = [\n"
        '  {centre = "Si", elements = ["O"], n = [1], l = [0]},\n'
        '  {centre = "O", elements = ["Si"], n = [2], l = [0]},\n'
        '  {centre = "Si", elements = ["O", "Si"], n = [1, 2], l = [2, 2]},\n]',
        _ALL,
    ),
    "blr-algebraic_06": _fit(
        "algebraic_06", _BLR, 'elements = ["Si", "O"]\nextend_lower_orders = true'
    ),
}
#: Fits whose report.json is kept; of the last one the model file as well.
REPORTED = ("qr-algebraic", "blr-algebraic")

MD = """model = "Si/model.acepot"

[structure]
file = "Si8.extxyz"
repeat = [2, 1, 1]

[ensemble]
temperature = 300

[run]
steps = 20
seed = 3

[output]
every = 5
checkpoint = 10
"""

STOPPED = """model = "model.acepot"

[structure]
file = "Si8.extxyz"
repeat = [2, 1, 1]

[ensemble]
temperature = 300
kind = "nvt"

[run]
steps = 1000
seed = 5

[output]
every = 100
checkpoint = 100
"""

#: A slip in the name of a key.
WRONG = '[data]\ntrain = "Si_train.extxyz.xz"\nfti = ["energy"]\n'

#: The README's command lines first, in its order, then the other verbs, then mistakes.
COMMANDS: list[list[str]] = [
    line.split()
    for line in """\
fit Si_train.extxyz.xz --test Si_test.extxyz.xz --degree 10,8,6 --out Si
info Si/model.acepot
eval Si/model.acepot Si_test.extxyz.xz --report errors.json --out predictions.extxyz
check Si/model.acepot
convert Si/model.acepot Si.yace
info --native
fit Si/fit.toml --out again
md md.toml --engine ase --out run
md md.toml --engine ase --out run
fit Si_test.extxyz.xz --order 2 --degree 6 --cutoff 4.5 --solver qr --virial --no-plots --out small
fit Si_test.extxyz.xz --keys energy=energy --degree 4,3,3 --threads 1 --no-plots --out keys
info small/fit.toml
info Si.yace
eval Si.yace Si_test.extxyz.xz --report yace.json
plot small/model.acepot Si_test.extxyz.xz --out plots
export small/model.acepot Si.tables
--version

sing
fit
fit Si_test.extxyz.xz
fit absent.xyz --out no
fit wrong.toml --out no
fit Si/fit.toml --degree 4 --out no
fit Si_test.extxyz.xz --order 9 --out no
info absent.acepot
info Si_test.extxyz.xz
eval small/model.acepot Si_test.extxyz.xz
convert small/model.acepot Si.nothing
md md.toml --engine nothing --out no
""".splitlines()
]


def outcome(fit: Any, expansion: Callable[[Any], Any]) -> dict[str, np.ndarray]:
    """What is compared of a fit.

    Args:
        fit: of `acepot.run_fit`.
        expansion: writes a basis out; its labels say what every function is.
    """
    labels = expansion(fit.model.basis).labels
    numbers = [labels.n, labels.l, labels.z]
    out = {
        "labels": np.column_stack([labels.centre, labels.order, *numbers]).astype(np.int8),
        # [member, output, k] of today; the code that wrote the files had a vector.
        "coefficients": fit.model.coefficients.reshape(-1, len(labels.centre))[0],
        "e0": fit.model.e0,
        "energies": np.array([result.energy for result in fit.train_results]),
    }
    if fit.model.committee is not None:
        out["committee"] = fit.model.committee
    return out
