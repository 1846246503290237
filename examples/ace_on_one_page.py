"""The Atomic Cluster Expansion on one page: energy and forces, as the papers write them.

    E = Σ_i ε_i                                         the energy is a sum over atoms
    φ_v(r_ij) = R_nl(r_ij) Y_lm(r̂_ij)                   functions of one neighbour, v = (z, n, l, m)
    A_v = Σ_j φ_v(r_ij)                                 summed over the neighbours of element z
    AA_T = Π_t A_{v_t}                                  products: correlations of several neighbours
    B_k = Re Σ_T C_kT AA_T                              C makes them invariant under rotations
    ε_i = E0 + Σ_k c_k B_k = E0 + Re Σ_T w_T AA_T       w_T = Σ_k c_k C_kT
    F_j = -∂E/∂r_j                                      by the chain rule, backwards

`lower` has turned a model into the arrays that every evaluator reads (`acepot/tables.py`): tables
of R, the list of v, for each central element the factors of its products T and their weights w.
Nothing here is fast; `acepot/evaluate/reference/` does the same for all atoms at once and for
tensors, the compiled evaluator thousands of times faster. Run it with a model and a structure:

    python examples/ace_on_one_page.py models/Si-mlearn/model.acepot examples/ipi/Si8.extxyz

That is a perfect crystal, whose forces are zero; examples/data/Si_test.extxyz.xz is not, and takes
half a minute.
"""

import sys

import numpy as np

import acepot
from acepot.basis.harmonics import complex_from_real, real_harmonics
from acepot.neighbours import build


def energy_and_forces(tables, structure):
    """Energy in eV and forces in eV/Å, shape (n, 3), of a linear model."""
    if tables.embeddings is not None:
        raise ValueError("this page is for linear models, E = ρ")
    species = [list(tables.numbers).index(z) for z in structure.numbers]
    edges = build(structure, float(tables.cutoff.max()))  # all pairs i, j with r_j - r_i
    energy, forces = 0.0, np.zeros((len(structure), 3))
    for i, centre in enumerate(species):
        # A_v of atom i, and how each of its neighbours contributes.
        a = np.zeros(len(tables.a_l), dtype=complex)
        neighbours = []
        for e in range(edges.first[i], edges.first[i + 1]):
            j, r = edges.neighbour[e], edges.vector[e]
            phi, gradient = one_particle(tables, centre, species[j], r)
            a += phi
            neighbours.append((j, gradient))
        # The products and their weights.
        products = tables.products[centre]
        by_a = np.zeros(len(a), dtype=complex)  # ∂ε_i/∂A_v
        energy += tables.e0[centre]
        for factors, weight in zip(products.factors, products.weights[0, 0], strict=True):
            v = [f for f in factors if f < len(a)]
            energy += weight * np.prod(a[v]).real
            for t in range(len(v)):
                by_a[v[t]] += weight * np.prod(a[v[:t] + v[t + 1 :]])
        # ∂ε_i/∂r_j = Re Σ_v ∂ε_i/∂A_v ∂φ_v/∂r_j; moving i is moving all its neighbours back.
        for j, gradient in neighbours:
            slope = (by_a @ gradient).real
            forces[j] -= slope
            forces[i] += slope
    return energy, forces


def one_particle(tables, centre, neighbour, r):
    """φ_v(r) of all v, zero for other elements, and its gradient, shapes (V,) and (V, 3)."""
    distance = np.linalg.norm(r)
    unit = r / distance
    radial, slope = radial_functions(tables, centre, neighbour, distance)
    phi = np.zeros(len(tables.a_l), dtype=complex)
    gradient = np.zeros((len(tables.a_l), 3), dtype=complex)
    for l in range(tables.a_l.max(initial=0) + 1):
        y, dy = harmonics(unit, l)
        for v in np.flatnonzero((tables.a_species == neighbour) & (tables.a_l == l)):
            n, m = tables.a_channel[v], tables.a_m[v] + l
            phi[v] = radial[n] * y[m]
            across = dy[m] - (dy[m] @ unit) * unit  # along r the harmonics do not change
            gradient[v] = slope[n] * y[m] * unit + radial[n] * across / distance
    return phi, gradient


def harmonics(unit, l):
    """Complex harmonics Y_lm, m = -l … l, with the Condon–Shortley sign, and their gradients."""
    value, gradient = real_harmonics(unit[None], l)
    to_complex = complex_from_real(l)
    return to_complex @ value[0, l * l :], to_complex @ gradient[0, l * l :]


def radial_functions(tables, centre, neighbour, distance):
    """R_n(r) and R_n'(r) of one ordered pair of elements, from quintic tables."""
    values, slopes = [], []
    for table in tables.radial:
        begin = table.begin[centre, neighbour]
        spacing = table.spacing[centre, neighbour]
        bins = table.bins[centre, neighbour]
        t = (distance - begin) / spacing
        if not 0 <= t < bins:  # beyond the cut-off, or inside an inner one
            values.append(np.zeros(table.coefficients.shape[-1]))
            slopes.append(values[-1])
            continue
        polynomial = table.coefficients[centre, neighbour, int(t)]  # [power, n]
        u = t - int(t)
        values.append(sum(c * u**k for k, c in enumerate(polynomial)))
        slopes.append(sum(k * c * u ** (k - 1) for k, c in enumerate(polynomial) if k) / spacing)
    return np.concatenate(values), np.concatenate(slopes)


if __name__ == "__main__":
    tables = acepot.lower(acepot.load(sys.argv[1]))
    (structure, *_), _ = acepot.read_structures(sys.argv[2])
    energy, forces = energy_and_forces(tables, structure)
    print(f"energy {energy:.6f} eV; largest force {np.abs(forces).max():.6f} eV/Å")
