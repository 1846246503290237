"""What ML-PACE makes of a .yace file, written once more from its formulas.

`MlPace` shares nothing with the library: its own reading of the file, harmonics, Chebyshev
polynomials, cubic tables on PACE's knots, neighbours and sums. It is first held to numbers of
the original evaluator; then it evaluates what the library exports.
"""

from __future__ import annotations

import itertools
import re
from math import factorial, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.polynomial import legendre, polynomial

from acepot import Model, Potential, Structure, load
from acepot.basis.choices import Pair, resolve
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec
from acepot.io.pace import read_pace, write_yace
from acepot.io.structures.extxyz import read
from acepot.io.structures.labels import LabelKeys

SILICON = Path(__file__).parents[2] / "models" / "Si-mlearn" / "model.acepot"
OWN = Path(__file__).parent / "data" / "pace"
SYMBOLS = {
    1: "H",
    6: "C",
    8: "O",
    13: "Al",
    14: "Si",
    22: "Ti",
    24: "Cr",
    28: "Ni",
    29: "Cu",
    73: "Ta",
}


# ------------------------------------------------------------------ radial functions


def chebyshev(x, dx, count):
    """T_0 … T_count and their derivatives, T_n' = n U_{n-1} dx."""
    t, u = [np.ones_like(x), x], [np.ones_like(x), 2 * x]
    for _ in range(count):
        t.append(2 * x * t[-1] - t[-2])
        u.append(2 * x * u[-1] - u[-2])
    slopes = [np.zeros_like(x)] + [n * u[n - 1] * dx for n in range(1, count + 1)]
    return np.array(t[: count + 1]), np.array(slopes)


def sinc(r, k):
    """sin(kr)/(kr) and its derivative."""
    return np.sin(k * r) / (k * r), (np.cos(k * r) * k * r - np.sin(k * r)) / (k * r * r)


def g_functions(bond, r):
    """g_1 … g_K and their derivatives at distances r > 0."""
    name, rc, count = bond["radbasename"], float(bond["rcut"]), int(bond["nradbasemax"])
    rate = float(bond["radparameters"][0])
    if name.startswith("TEST_") and name != "TEST_SBessel":
        return np.zeros((2, count, len(r)))
    if name.endswith("SBessel"):
        g, d = [], 1.0
        for n in range(count):
            a, b = n + 1, n + 2
            factor = (-1) ** n * sqrt(2) * pi / rc**1.5 * a * b / sqrt(a * a + b * b)
            f = factor * (np.array(sinc(r, a * pi / rc)) + np.array(sinc(r, b * pi / rc)))
            if n:
                e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
                previous, d = d, 1 - e / d
                f = (f + sqrt(e / previous) * g[-1]) / sqrt(d)
            g.append(f)
        return np.array(g).transpose(1, 0, 2)
    if name == "ChebExpCos":
        end = np.exp(-rate)
        x = 1 - 2 * (np.exp(-rate * r / rc) - end) / (1 - end)
        t, dt = chebyshev(x, 2 * rate / rc * np.exp(-rate * r / rc) / (1 - end), count)
        g, dg = 0.5 - 0.5 * t[:count], -0.5 * dt[:count]
        g[0], dg[0] = 1.0, 0.0
        cut, dcut = (1 + np.cos(pi * r / rc)) / 2, -pi / rc * np.sin(pi * r / rc) / 2
        width = float(bond["dcut"])
        last = (r > rc - width) & (width > 0)
        y = pi * (r - rc + width) / max(width, 1e-300)
        window = np.where(last, (1 + np.cos(y)) / 2, 1.0)
        slope = np.where(last, -pi / max(width, 1e-300) * np.sin(y) / 2, 0.0)
        cut, dcut = cut * window, dcut * window + cut * slope
        return np.array([g * cut, dg * cut + g * dcut])
    if name == "ChebPow":
        x = 2 * (1 - (1 - r / rc) ** rate) - 1
        t, dt = chebyshev(x, 2 * rate / rc * (1 - r / rc) ** (rate - 1), count)
    else:
        assert name == "ChebLinear", name
        t, dt = chebyshev(1 - r / rc, np.full_like(r, -1 / rc), count)
    return np.array([0.5 - 0.5 * t[1:], -0.5 * dt[1:]])


def switch(x, end, width):
    """P: one below end - width, zero above end; and its derivative."""
    y = np.clip(1 - 2 * (1 + (x - end) / max(width, 1e-300)), -1.0, 1.0)
    value = 0.5 + 3.75 * (y / 4 - y**3 / 6 + y**5 / 20)
    slope = 3.75 * (0.25 - y**2 / 2 + y**4 / 4) * -2 / max(width, 1e-300)
    inside = (x > end - width) & (x < end)
    return np.where(x <= end - width, 1.0, np.where(x >= end, 0.0, value)), slope * inside


def screened(r, z, other):
    """φ(r/a)/r of ZBL and two derivatives."""
    a = 0.4685 / (z**0.23 + other**0.23)
    terms = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
    f = [sum(c * (-k / a) ** n * np.exp(-k * r / a) for c, k in terms) for n in range(3)]
    return f[0] / r, f[1] / r - f[0] / r**2, f[2] / r - 2 * f[1] / r**2 + 2 * f[0] / r**3


def core_repulsion(bond, mode, numbers, r):
    """The core density of a pair and its derivative."""
    rc, pre = float(bond["rcut"]), float(bond["prehc"])
    if mode == "zbl":
        z, other = numbers
        width = float(bond["dcut"])
        e, e1, e2 = screened(rc, z, other)
        a, b = (-3 * e1 + width * e2) / width**2, (2 * e1 - width * e2) / width**3
        c = -e + width * e1 / 2 - width**2 * e2 / 12
        value, slope, _ = screened(r, z, other)
        step = np.maximum(r - (rc - width), 0.0)
        value = value + a / 3 * step**3 + b / 4 * step**4 + c
        slope = slope + a * step**2 + b * step**3
        p, dp = switch(r, rc, width)
        scale = pre * 14.399645351950543 / 2 * z * other
        return scale * np.array([value * p, slope * p + value * dp])
    decay = abs(float(bond["lambdahc"]))
    bell = abs(pre) * np.exp(-decay * r * r) / r
    wave, dwave = (1 + np.cos(pi * r / rc)) / 2, -pi / rc * np.sin(pi * r / rc) / 2
    value, slope = bell * wave, bell * dwave - (2 * decay * r + 1 / r) * bell * wave
    if mode == "distance":
        p, dp = switch(r, float(bond.get("rcut_in", 0)), float(bond.get("dcut_in", 0)))
        value, slope = value * p, slope * p + value * dp
    return np.array([value, slope]) * (decay * r * r < 50)


def hermite(knots, r):
    """Cubic interpolation in a table of values and slopes (2, functions, knots 1 …)."""
    values, spacing = knots
    t = r / spacing
    i = t.astype(int)
    assert (i >= 1).all(), "closer than the first knot"
    u, i = t - i, i - 1
    last = values.shape[2] - 1
    keep = i < last
    i = np.minimum(i, last - 1)
    f0, f1 = values[0][:, i], values[0][:, i + 1]
    d0, d1 = spacing * values[1][:, i], spacing * values[1][:, i + 1]
    c2, c3 = 3 * (f1 - f0) - 2 * d0 - d1, 2 * (f0 - f1) + d0 + d1
    value = f0 + u * (d0 + u * (c2 + u * c3))
    slope = (d0 + u * (2 * c2 + 3 * u * c3)) / spacing
    return value * keep, slope * keep


# ------------------------------------------------------------------ harmonics, embedding


def harmonics(unit, top):
    """PACE's Y_lm, index l² + l + m, and their gradients as functions of the unit vector."""
    x, y, z = unit.T
    values = np.zeros(((top + 1) ** 2, len(unit)), dtype=complex)
    slopes = np.zeros(((top + 1) ** 2, 3, len(unit)), dtype=complex)
    for l in range(top + 1):
        p = legendre.leg2poly([0] * l + [1])
        for m in range(l + 1):
            norm = (-1) ** m * sqrt((2 * l + 1) * factorial(l - m) / factorial(l + m))
            q = polynomial.polyder(p, m)
            height = norm * polynomial.polyval(z, q)
            rise = norm * polynomial.polyval(z, polynomial.polyder(q))
            turn = (x + 1j * y) ** m
            along = m * (x + 1j * y) ** (m - 1) if m else np.zeros_like(turn)
            gradient = np.array([height * along, 1j * height * along, rise * turn])
            here, there = l * l + l + m, l * l + l - m
            values[here], slopes[here] = height * turn, gradient
            if m:
                values[there] = (-1) ** m * np.conj(height * turn)
                slopes[there] = (-1) ** m * np.conj(gradient)
    return values, slopes


def embedded(kind, rho, m):
    """F and its derivative."""
    a, sign = abs(rho), np.sign(rho)
    if kind == "FinnisSinclairShiftedScaled":
        if m == 1:
            return rho, 1.0
        nu, e = 1 / m, np.exp(-a)
        x, y = nu ** (nu / (1 - nu)), nu ** (1 / (1 - nu))
        value = (x * e + a) ** m - y * e
        return sign * value, m * (x * e + a) ** (m - 1) * (1 - x * e) + y * e
    w = 1e6
    scale = w ** (1 - m)
    if a <= 1e-10:
        return scale * rho, scale
    cube = (w * a) ** 3
    g = np.exp(-cube) if cube <= 30 else 0.0
    dg = -3 * cube / a * g
    value = (1 - g) * a**m + scale * g * a
    return sign * value, -dg * a**m + (1 - g) * m * a ** (m - 1) + scale * (dg * a + g)


# ------------------------------------------------------------------ the evaluator


class MlPace:
    """A .yace file and its energies."""

    def __init__(self, path: Path) -> None:
        text = re.sub(r"^(\s*)\[(\d+), *(\d+)\]:", r'\1"\2 \3":', path.read_text(), flags=re.M)
        tree = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        self.elements = tree["elements"]
        self.e0 = [float(e) for e in tree["E0"]]
        self.embeddings = [tree["embeddings"][s] for s in range(len(self.elements))]
        numbers = {symbol: z for z, symbol in SYMBOLS.items()}
        self.pairs = {}
        for key, bond in tree["bonds"].items():
            a, b = (int(s) for s in key.split())
            mode = bond.get("inner_cutoff_type", "density")
            rc = float(bond["rcut"])
            spacing = rc / int(rc / float(tree["deltaSplineBins"]))
            r = spacing * np.arange(1, round(rc / spacing) + 1)
            r[-1] = rc
            g = g_functions(bond, r)
            if mode == "distance":
                p, dp = switch(r, float(bond.get("rcut_in", 0)), float(bond.get("dcut_in", 0)))
                g = np.array([g[0] * (1 - p), g[1] * (1 - p) - g[0] * dp])
            both = tuple(numbers[self.elements[s]] for s in (a, b))
            core = core_repulsion(bond, mode, both, r)
            crad = np.zeros((int(bond["nradmax"]), int(bond["lmax"]) + 1, len(g[0])))
            if crad.size:
                crad[:] = np.array(bond["radcoefficients"], dtype=float)
            self.pairs[a, b] = bond, mode, (g, spacing), (core[:, None], spacing), crad
        self.cutoff = max(float(pair[0]["rcut"]) for pair in self.pairs.values())
        self.top = max(pair[4].shape[1] for pair in self.pairs.values()) - 1
        self.sites = [self._site(tree["functions"][s]) for s in range(len(self.elements))]

    def _site(self, functions):
        """Names of the A that occur, indices of every product and its coefficients."""
        names, factors, values = {}, [], []
        for f in functions:
            rank = int(f["rank"])
            combos = np.array(f["ms_combs"], dtype=int).reshape(-1, rank)
            c = np.array(f["ctildes"], dtype=float).reshape(len(combos), -1)
            for ms, weights in zip(combos, c, strict=True):
                keys = [
                    (mu, n, -1 if rank == 1 else l, m)
                    for mu, n, l, m in zip(f["mus"], f["ns"], f["ls"], ms.tolist(), strict=True)
                ]
                factors.append([names.setdefault(key, len(names)) for key in keys])
                values.append(weights)
        padded = np.full((len(factors), max(map(len, factors), default=1)), len(names))
        for row, one in zip(padded, factors, strict=True):
            row[: len(one)] = one
        return list(names), padded, np.array(values)

    def compute(self, structure):
        """Energy, forces and virial W = -Σ r_ij ⊗ dE_i/dr_ij."""
        species = [self.elements.index(SYMBOLS[int(z)]) for z in structure.numbers]
        positions, cell = np.array(structure.positions), np.array(structure.cell)
        shifts = images(cell, structure.pbc, self.cutoff, positions)
        energy, forces, virial = 0.0, np.zeros_like(positions), np.zeros((3, 3))
        for i, s in enumerate(species):
            vectors = (positions - positions[i])[:, None] + shifts
            distance = np.linalg.norm(vectors, axis=2)
            reach = np.array([float(self.pairs[s, t][0]["rcut"]) for t in species])
            j, k = np.nonzero((distance > 1e-9) & (distance < reach[:, None]))
            part, gradient = self._atom(s, [species[x] for x in j], vectors[j, k])
            energy += part
            np.add.at(forces, j, -gradient)
            forces[i] += gradient.sum(axis=0)
            virial -= vectors[j, k].T @ gradient
        return energy, forces, virial

    def _atom(self, s, others, vectors):
        """E_i and dE_i/dr_ij."""
        others = np.array(others, dtype=int)
        r = np.linalg.norm(vectors, axis=1)
        unit = vectors / np.maximum(r, 1e-300)[:, None]
        y, dy = harmonics(unit, max(self.top, 0))
        names, factors, coefficients = self.sites[s]
        a = np.ones(len(names) + 1, dtype=complex)
        da = np.zeros((len(names), len(r), 3), dtype=complex)
        core, dcore = np.zeros(len(r)), np.zeros(len(r))
        a[:-1] = 0.0
        for b in np.unique(others):
            at = np.flatnonzero(others == b)
            _, _, g_table, core_table, crad = self.pairs[s, b]
            g, dg = hermite(g_table, r[at])
            core[at], dcore[at] = (part[0] for part in hermite(core_table, r[at]))
            for v, (mu, n, l, m) in enumerate(names):
                if mu != b:
                    continue
                lm = 0 if l < 0 else l * l + l + m
                c = np.eye(len(g))[n - 1] if l < 0 else crad[n - 1, l]
                radial, slope = c @ g, c @ dg
                a[v] = radial @ y[lm, at]
                turn = dy[lm][:, at].T
                turn = turn - unit[at] * (unit[at] * turn).sum(axis=1)[:, None]
                da[v, at] = (slope * y[lm, at])[:, None] * unit[at]
                da[v, at] += (radial / r[at])[:, None] * turn
        width = factors.shape[1]
        partial = [np.prod(np.delete(a[factors], t, axis=1), axis=1) for t in range(width)]
        rho = coefficients.T @ np.prod(a[factors], axis=1).real
        how = self.embeddings[s]
        fs = np.array(how["FS_parameters"], dtype=float).reshape(-1, 2)
        value, slope = 0.0, np.zeros(len(fs))
        for p, (w, m) in enumerate(fs):
            f, df = embedded(how["npoti"], rho[p], m)
            value, slope[p] = value + w * f, w * df
        along = coefficients @ slope
        weights = np.zeros(len(names) + 1, dtype=complex)
        for t in range(width):
            np.add.at(weights, factors[:, t], along * partial[t])
        gradient = np.einsum("v,vjx->jx", weights[:-1], da).real
        mode = next(iter(self.pairs.values()))[1]
        if mode == "zbl":
            f, pull = np.array(1.0), np.zeros(len(r))
            if len(r):
                bonds = [self.pairs[s, b][0] for b in others]
                end, delta = np.array(
                    [[float(bond[k]) for bond in bonds] for k in ("rcut_in", "dcut_in")]
                )
                gap = r - (end - delta)
                near = int(gap.argmin())
                f, df = switch(delta[near] - gap[near], delta[near], delta[near])
                pull[near] = -df * (value - core.sum())
            energy = value * f + (1 - f) * core.sum()
            gradient = gradient * f + ((1 - f) * dcore + pull)[:, None] * unit
        else:
            limits = (float(how[k]) for k in ("rho_core_cutoff", "drho_core_cutoff"))
            f, df = switch(core.sum(), *limits)
            energy = value * f + core.sum()
            gradient = gradient * f + ((1 + value * df) * dcore)[:, None] * unit
        return energy + self.e0[s], gradient


def images(cell, pbc, cutoff, positions):
    """Every shift that may bring an atom within the cut-off."""
    if not any(pbc):
        return np.zeros((1, 3))
    free = [k for k in range(3) if not pbc[k]]
    full = cell.copy()
    if free:
        full[free] = np.linalg.svd(cell[[k for k in range(3) if pbc[k]]])[2][-len(free) :]
    heights = 1 / np.linalg.norm(np.linalg.inv(full), axis=0)
    spread = np.ptp(positions @ np.linalg.inv(full), axis=0)
    counts = [int(np.ceil(cutoff / heights[k] + spread[k])) if pbc[k] else 0 for k in range(3)]
    return np.array([s @ cell for s in itertools.product(*[range(-n, n + 1) for n in counts])])


# ------------------------------------------------------------------ against the original


REFERENCES = [
    *(f"pace_potentials/pacemaker_tests/{name}"
      for name in ("Al-Ni_opt_all", "Al-r1234l12_crad_dif", "Cr_ladder_0", "Cu-I", "Cu-III",
                   "Ni_2dens_bug_case", "ZBL_rep", "multispecies_AlNiCu")),
    "ta_fitsnap/RIDGE_30Mar23",
]  # fmt: skip


@pytest.mark.parametrize("name", ["density", "distance", "zbl", "bessel", "linear"])
def test_the_emulation_gives_the_numbers_of_the_original_for_our_own_files(name):
    hold_emulation(OWN / f"{name}.yace", OWN / f"{name}.yace.reference.extxyz.xz", every=1)


@pytest.mark.parametrize("name", REFERENCES)
def test_the_emulation_gives_the_numbers_of_the_original(shared_data, name):
    folder, _, stem = name.rpartition("/")
    file, reference = f"{stem}.converted.yace", f"{stem}.reference_EFS.extxyz.xz"
    if folder == "ta_fitsnap":
        file, reference = f"Ta_{stem}.yace", f"reference_EFS_Ta_{stem}.extxyz.xz"
    hold_emulation(shared_data / folder / file, shared_data / folder / reference, every=2)


def hold_emulation(file: Path, reference: Path, every: int) -> None:
    pace = MlPace(file)
    structures, _ = read(reference, LabelKeys())
    assert len(structures) > 10
    for structure in sorted(structures, key=len)[::every][:16]:
        energy, forces, virial = pace.compute(structure)
        size = max(1.0, abs(structure.energy) / len(structure))
        assert abs(energy - structure.energy) / len(structure) < 1e-9 * size, structure.name
        large = np.abs(structure.forces).max()
        assert np.abs(forces - structure.forces).max() < max(1e-8, 1e-10 * large), structure.name
        if structure.virial is not None:
            gap, large = np.abs(virial - structure.virial).max(), np.abs(structure.virial).max()
            assert gap < max(1e-8 * structure.volume, 1e-10 * large), structure.name


# ------------------------------------------------------------------ what the library writes


def crystal(rng: np.random.Generator, numbers: list[int], edge: float) -> Structure:
    """A triclinic cell of eight atoms, shaken."""
    sites = np.array(list(itertools.product((0, 1), repeat=3))) / 2
    cell = edge * np.eye(3) + rng.normal(scale=0.25, size=(3, 3))
    positions = sites @ cell + rng.normal(scale=0.1, size=(8, 3))
    return Structure(rng.permutation(np.resize(numbers, 8)), positions, cell, True)


def silica(**more: object) -> Model:
    """Two elements with another cut-off for each ordered pair, random coefficients."""
    cutoffs = {"O-O": 4.6, "O-Si": 4.8, "Si-O": 5.0, "Si-Si": 5.3}
    fields = {"order": 3, "degree": (10.0, 8.0, 7.0), "cutoff": cutoffs}
    spec = resolve(BasisSpec(("O", "Si"), **(fields | more)))
    size = spec.expansion().size
    shortest = {"O-O": 1.9, "O-Si": 1.4, "Si-Si": 1.9}
    coefficients = np.random.default_rng(1).normal(size=size) / 50
    return Model(
        spec, coefficients, np.array([-2.0, -5.0]), provenance={"shortest distances": shortest}
    )


def finnis_sinclair() -> Model:
    """A square root and a square beside the linear density, which alone has the pair part."""
    linear = silica(pair=Pair(degree=6))
    rng = np.random.default_rng(2)
    coefficients = rng.normal(size=(linear.coefficients.shape[2], 3)) / 50
    coefficients[-18:, 1:] = 0.0  # three pairs of elements with six functions
    kinds = ("FinnisSinclairShiftedScaled", "FinnisSinclair")
    embeddings = tuple(Embedding(k, (1.0, 0.8, -0.2), (1.0, 0.5, 2.0)) for k in kinds)
    return Model(
        linear.basis,
        coefficients.T[None],
        linear.e0,
        provenance=linear.provenance,
        nonlinear=Nonlinear(embeddings),
    )


EXPORTS = {
    "silicon": (lambda: load(SILICON), [14], 5.2),
    "silica": (silica, [8, 14], 5.0),
    "silica, canonical": (
        lambda: silica(formulation="canonical", degree=(8.0, 7.0, 5.0)), [8, 14], 5.0,
    ),
    "silica, Finnis-Sinclair": (finnis_sinclair, [8, 14], 5.0),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_exported_models_are_the_same_in_ml_pace(name, tmp_path):
    """Read back by the library: 1e-9 eV/atom; by ML-PACE's formulas: 1e-8."""
    make, numbers, edge = EXPORTS[name]
    _compare(make(), numbers, edge, tmp_path / "model.yace")


def test_a_fitted_model_of_aluminium_and_titanium_is_the_same_in_ml_pace(tmp_path):
    model = load(OWN.parent / "ACEmd.jl" / "ACEmd_TiAl.json.xz")
    _compare(model, [13, 22], 5.6, tmp_path / "model.yace")


def _compare(model: Model, numbers: list[int], edge: float, path: Path) -> None:
    report = write_yace(model, path)
    assert report.error <= 1e-10 and path.stat().st_size < 900_000
    rng = np.random.default_rng(3)
    structures = [crystal(rng, numbers, edge) for _ in range(4)]
    ours = Potential(model, threads=1).compute_all(structures)
    back = Potential(read_pace(path), threads=1).compute_all(structures)
    pace = MlPace(path)
    for structure, one, two in zip(structures, ours, back, strict=True):
        energy, forces, virial = pace.compute(structure)
        assert abs(two.energy - one.energy) / 8 < 1e-9
        assert abs(energy - one.energy) / 8 < 1e-8
        for other_forces, other_virial in ((two.forces, two.virial), (forces, virial)):
            large = max(1.0, np.abs(one.forces).max())
            assert np.abs(other_forces - one.forces).max() < 1e-8 * large
            large = max(1.0, np.abs(one.virial).max())
            assert np.abs(other_virial - one.virial).max() < 1e-8 * large
