// The bilinear form of several densities, and energies from these.
#pragma once
#include "engine/call.hpp"
#include "engine/form.hpp"
#include "engine/shared.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// Densities in A of atoms whose neighbours are in vectors of T.
template <class T, class A = T>
class ProductStage {
  public:
    using V = typename Simd<A>::V;
    using Atom = Neighbourhood<T>;

    explicit ProductStage(const Shared<T, A>& shared)
        : tables_(shared.tables), curves_(shared.curves) {}

    void forward(const Centre<T, A>& c, int output, const V* x, V* rows, V* rho) const {
        for (int p = 0; p < tables_.densities; p += densities_at_once)
            some_forward<true>(c.plan, tables_.densities - p,
                               c.coefficients[output][p / densities_at_once].data(), x,
                               rows + c.plan.kept * p, rho + p);
    }

    // Adds to the adjoints w.
    void backward(const Centre<T, A>& c, int output, const V* x, const V* rows, V* w,
                  const V* slope) const {
        for (int p = 0; p < tables_.densities; p += densities_at_once)
            some_backward(c.plan, tables_.densities - p,
                          c.coefficients[output][p / densities_at_once].data(), x,
                          rows + c.plan.kept * p, w, slope + p);
    }

    // Up to densities_at_once of `count` densities.
    template <bool kept>
    static void some_forward(const Plan& plan, int count, const A* coefficients, const V* x,
                             V* rows, V* rho) {
        switch (count) {
            case 1: form_forward<A, 1, kept>(plan, coefficients, x, rows, rho); break;
            case 2: form_forward<A, 2, kept>(plan, coefficients, x, rows, rho); break;
            case 3: form_forward<A, 3, kept>(plan, coefficients, x, rows, rho); break;
            default: form_forward<A, 4, kept>(plan, coefficients, x, rows, rho); break;
        }
    }
    static void some_backward(const Plan& plan, int count, const A* coefficients, const V* x,
                              const V* rows, V* w, const V* slope) {
        switch (count) {
            case 1: form_backward<A, 1>(plan, coefficients, x, rows, w, slope); break;
            case 2: form_backward<A, 2>(plan, coefficients, x, rows, w, slope); break;
            case 3: form_backward<A, 3>(plan, coefficients, x, rows, w, slope); break;
            default: form_backward<A, 4>(plan, coefficients, x, rows, w, slope); break;
        }
    }

    // Energies of the atoms of a batch, for one output, from their densities, and the slopes of these.
    void energies(const Batch& b, Workspace<T, A>& w, int output, const V* rho, V* slope) const {
        for (int a = 0; a < b.count; a++) {
            double lane[most_densities] = {}, pull[most_densities] = {};
            for (int p = 0; p < tables_.densities; p++) lane[p] = rho[p][a];
            const double found =
                tables_.e0[b.species] + energy(b.species, w.atoms[a], output, lane, pull);
            for (int p = 0; p < tables_.densities; p++) slope[p][a] = static_cast<A>(pull[p]);
            Piece& piece = *w.atoms[a].piece;
            if (output >= piece.out->outputs) continue;
            if (!is_finite(found)) piece.doubt();
            if (piece.out->energies)
                piece.out->energies[piece.atom_row(output) + piece.original(w.atoms[a].index)] =
                    found;
        }
    }

    // Energy of an atom from the densities of its products, dE/d rho, and the weights of what
    // only pairs carry.
    double energy(int s, Atom& atom, int output, const double* rho, double* slope) const {
        const Embeddings& e = tables_.embeddings;
        const int P = tables_.densities;
        const double *folded = atom.folded + output * P, core = atom.core;
        atom.core_weight = atom.nearest_weight = 0;
        atom.nearest = 0;
        if (!e.present) {
            slope[0] = 1;
            return rho[0] + folded[0];
        }
        double energy = 0;
        for (int p = 0; p < P; p++) {
            double f, df;
            curves_[s * P + p].evaluate(rho[p] + folded[p], f, df);
            energy += e.weight[s * P + p] * f;
            slope[p] = e.weight[s * P + p] * df;
        }
        if (tables_.core.empty()) return energy;
        double f = 1, df = 0;
        if (e.mode == 2) {
            atom.nearest = nearest_neighbour(s, atom, f, df);
            atom.nearest_weight = (energy - core) * df;
            atom.core_weight = 1 - f;
        } else {
            inner_switch(core, e.core_limit[s], e.core_width[s], f, df);
            atom.core_weight = 1 + energy * df;
        }
        for (int p = 0; p < P; p++) slope[p] *= f;
        return energy * f + core * (e.mode == 2 ? 1 - f : 1.0);
    }

  private:
    // zbl: f = P(width - d; width, width), d = min_j (r_j - bound_j); returns that neighbour.
    int nearest_neighbour(int s, Atom& atom, double& f, double& df) const {
        constexpr int W = Simd<T>::W;
        double least = 1e300, width = 0;
        int best = 0;
        for (int z = 0; z < tables_.species; z++) {
            const double* inner = &tables_.embeddings.inner[2 * (s * tables_.species + z)];
            for (int k = atom.groups[z] * W; k < atom.groups[z + 1] * W; k++)
                if (atom.distance[k] - inner[0] < least && atom.distance[k] < 0.9 * far_away) {
                    least = atom.distance[k] - inner[0];
                    width = inner[1];
                    best = k;
                }
        }
        f = 1;
        df = 0;
        if (least < 1e299) {
            inner_switch(width - least, width, width, f, df);
            df = -df;
        }
        return best;
    }

    const Tables& tables_;
    const std::vector<Curve>& curves_;
};

}  // namespace ace::ACE_ISA
