"""Small files of every kind that the package reads: what the mutants are made from.

python tests/fuzz/seeds.py native/tests/data      writes the Tables of the native tests
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from acepot.basis.choices import Pair, resolve
from acepot.basis.explicit import ExplicitBasis, ExplicitProduct
from acepot.basis.jet import Array, Jet
from acepot.basis.pace_radial import BesselRadial, ChebyshevRadial
from acepot.basis.radial import Orthonormal
from acepot.basis.selection import irrep_sizes
from acepot.basis.spec import BasisSpec
from acepot.basis.splines import Knots, tabulate
from acepot.evaluate.tablebytes import table_bytes
from acepot.io.modelfile import model_bytes
from acepot.io.pace.read import read_pace
from acepot.lowering import lower
from acepot.model import Model, TensorModel
from acepot.tables import RadialTable, Tables

#: Distance in Å of two knots in Tables of a few kB; derivatives stay exact for the table.
_COARSE = 0.65

_EMBEDDINGS = """elements: [O, Si]
E0: [-1.5, -2.25]
deltaSplineBins: 0.001
embeddings:
  0: {ndensity: 2, FS_parameters: [1.0, 1.0, 0.7, 0.5], npoti: FinnisSinclairShiftedScaled, rho_core_cutoff: 2.5, drho_core_cutoff: 2.0}
  1: {ndensity: 1, FS_parameters: [1.0, 0.8], npoti: FinnisSinclair, rho_core_cutoff: 3.0, drho_core_cutoff: 2.5}
"""  # noqa: E501 - one line an element, as PACE writes it
_BOND = (
    "  [{a}, {b}]: {{nradmax: 2, lmax: 1, nradbasemax: 2, radbasename: {name}, "
    "radparameters: [{decay}], radcoefficients: [[[0.5, {mix}], [0.1, -0.3]], "
    "[[0.3, 0.6], [-0.2, 0.4]]], prehc: {core}, lambdahc: 1.0, rcut: {cutoff}, dcut: 0.3, "
    "rcut_in: {inner}, dcut_in: 0.4, inner_cutoff_type: {mode}}}\n"
)
_FUNCTIONS = """functions:
  0:
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [0], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.8, 0.3]}
    - {mu0: 0, rank: 1, ndensity: 2, num_ms_combs: 1, mus: [1], ns: [2], ls: [0], ms_combs: [0], ctildes: [-0.4, 0.5]}
    - {mu0: 0, rank: 2, ndensity: 2, num_ms_combs: 3, mus: [0, 1], ns: [1, 2], ls: [1, 1], ms_combs: [-1, 1, 0, 0, 1, -1], ctildes: [0.21, 0.1, -0.21, -0.1, 0.21, 0.1]}
    - {mu0: 0, rank: 3, ndensity: 2, num_ms_combs: 3, mus: [0, 1, 1], ns: [1, 1, 2], ls: [0, 1, 1], ms_combs: [0, -1, 1, 0, 0, 0, 0, 1, -1], ctildes: [0.11, 0.2, -0.11, -0.2, 0.11, 0.2]}
  1:
    - {mu0: 1, rank: 1, ndensity: 1, num_ms_combs: 1, mus: [0], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.9]}
    - {mu0: 1, rank: 1, ndensity: 1, num_ms_combs: 1, mus: [1], ns: [1], ls: [0], ms_combs: [0], ctildes: [0.6]}
    - {mu0: 1, rank: 2, ndensity: 1, num_ms_combs: 3, mus: [0, 0], ns: [2, 2], ls: [1, 1], ms_combs: [-1, 1, 0, 0, 1, -1], ctildes: [0.15, -0.15, 0.15]}
"""  # noqa: E501 - one line a function, as PACE writes it

#: The polynomials of ACE.jl: t = ((1 + 2)/(1 + r))², which is 4/9 at the cut-off 3.5 Å.
_JULIA = (
    "{{radbasename: ACE.jl.Basic, rcut: 3.5, r0: 2.0, p: 2, xl: {xl}, xr: 4.0, pl: 2, pr: 0, "
    "maxn: 3, recursion_coefficients: {{A: [0.4, 0.5, 0.6], B: [0.0, -0.7, -0.8], "
    "C: [0.0, 0.0, -0.3]}}}}"
)

_ACE = """nelements=1
elements: Si
lmax=1
embedding-function: FinnisSinclair
2 FS parameters: 1.0 0.8
core energy-cutoff parameters: 100.0 250.0
E0: -1.25
radbasename=ChebExpCos
nradbase=2
nradmax=2
cutoffmax=3.4
deltaSplineBins=0.001
core repulsion parameters: 20.0 1.0
radparameter= 3.1
cutoff= 3.4
dcut= 0.3
crad= 0.5 0.2 0.1 -0.3
 0.3 0.6 -0.2 0.4
rankmax=3
ndensitymax=1
num_c_tilde_max=2
num_ms_combinations_max=3
total_basis_size_rank1: 2
ctilde_basis_func: rank=1 ndens=1 mu0=0 mu=( 0 ) n=( 1 ) l=( 0 ) num_ms=1
< 0 >: 0.8
ctilde_basis_func: rank=1 ndens=1 mu0=0 mu=( 0 ) n=( 2 ) l=( 0 ) num_ms=1
< 0 >: -0.2
total_basis_size: 2
ctilde_basis_func: rank=2 ndens=1 mu0=0 mu=( 0 0 ) n=( 1 2 ) l=( 1 1 ) num_ms=3
< -1 1 >: 0.21
< 0 0 >: -0.21
< 1 -1 >: 0.21
ctilde_basis_func: rank=3 ndens=1 mu0=0 mu=( 0 0 0 ) n=( 1 1 2 ) l=( 0 1 1 ) num_ms=3
< 0 -1 1 >: 0.11
< 0 0 0 >: -0.11
< 0 1 -1 >: 0.11
"""


def _pace(name: str, mode: str) -> bytes:
    bonds = "".join(
        _BOND.format(
            a=a,
            b=b,
            name=name,
            decay=3.1 + 0.2 * (a + b),
            mix=0.2 - 0.1 * abs(a - b),
            core=2.0 + a + b,
            cutoff=3.2 + 0.2 * (a + b),
            inner=0.0 if mode == "density" else 1.3 + 0.1 * (a + b),
            mode=mode,
        )
        for a in (0, 1)
        for b in (0, 1)
    )
    return (_EMBEDDINGS + "bonds:\n" + bonds + _FUNCTIONS).encode()


def _julia() -> bytes:
    one = _JULIA.format(xl=repr((3.0 / 4.5) ** 2))
    return (
        "elements: [Si]\nE0: [-1.0]\ndeltaSplineBins: 0.001\nembeddings:\n"
        "  0: {ndensity: 1, FS_parameters: [1.0, 1.0], npoti: FinnisSinclairShiftedScaled, "
        "rho_core_cutoff: 100000, drho_core_cutoff: 1}\n"
        f"bonds:\n  [0, 0]: {one}\n"
        f"polypairpot: {one[:-1]}, coefficients: {{[0, 0]: [0.3, -0.2, 0.1]}}}}\n"
        "reppot: {coefficients: {[0, 0]: {ri: 1.2, e0: 0.5, A: 9.0, B: 2.0}}}\n"
        "functions:\n  0:\n    - {mu0: 0, rank: 2, ndensity: 1, num_ms_combs: 2, mus: [0, 0], "
        "ns: [1, 2], ls: [1, 1], ms_combs: [0, 0, 1, -1], ctildes: [0.2, -0.4]}\n"
    ).encode()


def _ace1() -> bytes:
    zlist = {"__id__": "ACE1_SZList", "list": [8, 14]}
    functions = {
        "__id__": "ACE1_TransformedPolys",
        "trans": {"__id__": "ACE1_PolyTransform", "p": 2, "r0": 2.0, "a": 1},
        "J": {
            "__id__": "ACE1_OrthPolyBasis",
            "pl": 2, "tl": (3.0 / 4.5) ** 2, "pr": 0, "tr": 4.0,
            "A": [0.4, 0.5, 0.6], "B": [0.0, -0.7, -0.8], "C": [0.0, 0.0, -0.3],
        },
        "rl": 0.5, "ru": 3.5,
        "envelope": {"__id__": "ACE1_OneEnvelope"},
    }  # fmt: skip
    spec = [(1, 0, 0), (2, 0, 0), (1, 1, -1), (1, 1, 0), (1, 1, 1)]

    def one(n: int, l: int, m: int, z: int) -> dict[str, Any]:  # noqa: E741
        return {"__id__": "ACE1_PSH1pBasisFcn", "nlmz": [n, l, m, z]}

    def product(centre: int, *factors: tuple[int, int, int, int]) -> dict[str, Any]:
        return {
            "__id__": "ACE1_PIBasisFcn",
            "z0": {"__id__": "JuLIP_AtomicNumber", "z": centre},
            "oneps": [one(*f) for f in factors],
        }

    inner = [[product(z, (1, 0, 0, 8)), product(z, (1, 1, 0, 8), (1, 1, 0, 14))] for z in (8, 14)]
    document = {
        "__id__": "JuLIP_SumIP",
        "components": [
            {"__id__": "JuLIP_OneBody", "E0": {"O": -1.5, "Si": -2.25}},
            {
                "__id__": "ACE1_PolyPairPot",
                "basis": {"__id__": "ACE1_PolyPairBasis", "zlist": zlist, "Pr": [functions] * 4},
                "coeffs": [0.1 * k for k in range(9)],
            },
            {
                "__id__": "ACE1_PIPotential",
                "pibasis": {
                    "__id__": "ACE1_PIBasis",
                    "basis1p": {
                        "__id__": "ACE1_BasicPSH1pBasis",
                        "zlist": zlist,
                        "J": functions,
                        "SH": {"__id__": "ACE1_SHBasis", "maxL": 1},
                        "spec": [one(*s, 0) for s in spec],
                    },
                    "inner": inner,
                },
                "coeffs": [[0.3, -0.2], [0.4, 0.1]],
            },
        ],
    }
    return json.dumps(document).encode()


def _linear() -> Model:
    spec = resolve(
        BasisSpec(
            ("O", "Si"),
            order=3,
            degree=(4.0, 3.0, 3.0),
            cutoff=3.4,
            r0=1.8,
            pair=Pair(degree=2, cutoff=3.9),
        )
    )
    rng = np.random.default_rng(7)
    size = spec.expansion().size
    members = rng.normal(scale=0.1, size=(2, size))
    own = rng.normal(scale=0.1, size=(1, size))
    return Model(spec, np.concatenate((own, members))[:, None], np.array([-1.5, -2.25]))


def _tensors() -> Tables:
    """Two members of one scalar and two vectors, with the constant function."""
    spec = resolve(
        BasisSpec(
            ("O", "Si"),
            order=2,
            degree=(2.0, 2.0),
            wl=0.5,
            cutoff=3.4,
            r0=1.8,
            irreps=("0e", "1o"),
            constant=True,
            pair=Pair(degree=0),
        )
    )
    basis, rng = lower(spec), np.random.default_rng(7)
    return basis.read_out(
        [rng.normal(size=(2, o, n)) for o, n in zip((1, 2), basis.sizes, strict=True)]
    )


def _explicit() -> Model:
    radial = tuple(
        tuple(
            Orthonormal().functions(3, 0.0, 1.9, 3.2)
            if a == b
            else ChebyshevRadial("cheb_exp_cos", 3, 2.3, 0.3, 3.4)
            for b in (0, 1)
        )
        for a in (0, 1)
    )
    products = (
        ExplicitProduct(0, ((1, 2, 0, 0),)),
        ExplicitProduct(0, ((0, 1, 1, 1), (1, 2, 1, -1))),
        ExplicitProduct(1, ((1, 3, 1, 0), (1, 3, 1, 0), (0, 2, 2, 0))),
    )
    pair = tuple(tuple(BesselRadial(1, 3.6) for _ in (0, 1)) for _ in (0, 1))
    basis = ExplicitBasis((8, 14), radial, products, pair)
    return Model(basis, np.array([0.3, -0.2, 0.1, 0.2, 0.1, 0.3]), np.array([-1.5, -2.25]))


def _coarse_table(table: RadialTable, width: float) -> RadialTable:
    """The table read at few knots."""
    end = table.end
    bins = np.maximum(((end - table.begin) / width).round().astype(np.int32), 1)
    spacing = (end - table.begin) / bins
    species, channels = len(bins), table.coefficients.shape[-1]
    out = np.zeros((species, species, int(bins.max()), 6, channels))
    for a in range(species):
        for b in range(species):

            def read(r: Array, a: int = a, b: int = b) -> Jet:
                h, last = table.spacing[a, b], table.bins[a, b] - 1
                t = (r - table.begin[a, b]) / h
                knots = np.arange(last + 1.0) if table.knots is None else table.knots[a, b]
                at = np.clip(np.searchsorted(knots[: last + 1], t, "right") - 1, 0, last)
                c, u = table.coefficients[a, b, at], t - knots[at]
                powers = np.arange(6)
                value = np.einsum("rkc,rk->cr", c, u[:, None] ** powers)
                first = np.einsum("rkc,rk->cr", c[:, 1:], powers[1:] * u[:, None] ** powers[:5])
                second = np.einsum(
                    "rkc,rk->cr", c[:, 2:], (powers[2:] * powers[1:5]) * u[:, None] ** powers[:4]
                )
                return Jet(value, first / h, second / h**2)

            coarse = Knots(table.begin[a, b], spacing[a, b], int(bins[a, b]))
            out[a, b, : coarse.bins] = tabulate(read, coarse)[0]
    return replace(table, spacing=spacing, bins=bins, coefficients=out, knots=None)


def _coarse(tables: Tables, width: float) -> bytes:
    """Tables of a few kB."""
    core = None if tables.core is None else _coarse_table(tables.core, width)
    radial = tuple(_coarse_table(t, width) for t in tables.radial)
    data = table_bytes(replace(tables, radial=radial, core=core))
    # The form without a checksum, so that what is behind the checksum is tried, too.
    return data[:8] + struct.pack("<Q", 1) + data[24:]


def _of_pace(text: bytes, width: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.yace"
        path.write_bytes(text)
        return _coarse(lower(read_pace(path)), width)


@cache
def tables() -> dict[str, bytes]:
    """Tables by name: linear with pairs and a committee, tensors, and every core repulsion."""
    return {
        "linear": _coarse(lower(_linear()), 1.25 * _COARSE),
        "tensors": _coarse(_tensors(), 2 * _COARSE),
        "density": _of_pace(_pace("ChebExpCos", "density"), _COARSE),
        "distance": _of_pace(_pace("ChebPow", "distance"), _COARSE),
        "zbl": _of_pace(_pace("ChebExpCos", "zbl"), _COARSE),
    }


@cache
def seeds() -> dict[str, dict[str, bytes]]:
    """Files by kind and name, at most 12 kB each."""
    return {
        "yace": {
            "density": _pace("ChebExpCos", "density"),
            "distance": _pace("ChebPow", "distance"),
            "zbl": _pace("ChebExpCos", "zbl"),
            "bessel": _pace("SBessel", "density"),
            "julia": _julia(),
        },
        "ace": {"density": _ACE.encode()},
        "ace1": {"sum": _ace1()},
        "tables": tables(),
        "acepot": {"linear": model_bytes(_linear()), "explicit": model_bytes(_explicit())},
        "models": _models(),
    }


def _models() -> dict[str, bytes]:
    """Every kind of model but plain energies."""
    for folder in ("charges", "friction", "hamiltonian"):
        sys.path.append(str(Path(__file__).parents[1] / "core" / folder))
    import charged
    import friction_cases
    import hamiltonian_cases

    spec = resolve(BasisSpec(elements=("O", "Si"), order=2, degree=3, irreps=("0e", "1o")))
    sizes = irrep_sizes(spec)
    rng = np.random.default_rng(7)
    c = tuple(rng.normal(size=(2, 1, n)) for n in sizes)
    tensor = TensorModel(spec, c, (("charge",), ("dipole",)), "e")
    return {
        "charges": model_bytes(charged.model(degree=3)),
        "latent": model_bytes(charged.model("latent", degree=3)),
        "tensor": model_bytes(tensor),
        "friction": model_bytes(
            friction_cases.model(
                ("pair-wise", "vector", "conserved"), ("on-site", "matrix", "free"), order=1
            )
        ),
        "hamiltonian": model_bytes(
            hamiltonian_cases.random_model({"Si": "sp"}, 3, settings=hamiltonian_cases.LEAN)
        ),
    }


def main(folder: str) -> None:
    """Write the Tables."""
    for name, data in tables().items():
        (Path(folder) / f"{name}.tables").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
