// Energies of a batch of atoms, and what they add to forces and virials.
//
// Neighbours lie across the lanes of vectors in the pair stages, atoms in the product stage:
//   geometry   unit vectors and distances, grouped by species, padded to whole vectors
//   radial     R and dR/du of all columns from the quintic tables
//   A          sum over neighbours of R Y, tile by tile
//   products   nodes, then the bilinear form; the adjoint of all A's
//   forces     sums over n of a R and a R', tile by tile, then the angular part
#pragma once
#include <cstring>

#include "engine/call.hpp"
#include "engine/couple.hpp"
#include "engine/force_stage.hpp"
#include "engine/geometry.hpp"
#include "engine/pair_stage.hpp"
#include "engine/product_stage.hpp"
#include "engine/shared.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// T: what neighbours are computed in; A: what A's and all that is made of them.
template <class T, class A = T>
class Energies {
  public:
    using V = typename Simd<A>::V;
    using Work = Workspace<T, A>;

    explicit Energies(const Shared<T, A>& shared)
        : tables_(shared.tables), centres_(shared.centres), cutoff_(shared.cutoff), pairs_(shared),
          products_(shared), forces_(shared) {}

    void batch(Call& call, const Batch& b, Work& w) const {
        const Centre<T, A>& c = *centres_[b.species];
        const V* x = variables(call, b, c, w);
        for (int o = 0; o < call.outputs(); o++) {
            V slope[most_densities] = {};
            energies(b, c, w, o, x, slope);
            if (call.wants_derivatives()) derivatives(call, b, c, w, o, x, slope);
        }
    }

  private:
    // All variables of the plan: A's, the constant 1, nodes and couplings.
    const V* variables(Call& call, const Batch& b, const Centre<T, A>& c, Work& w) const {
        const Plan& plan = c.plan;
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].piece = &call.piece(b.members[a]);
            w.atoms[a].index = b.members[a].index;
            geometry(w, tables_.species, cutoff_, plan.columns, w.atoms[a]);
        }
        const bool committee = call.outputs() > 1;
        pairs_.radial(c, w, b.count, committee);
        w.variables.need(plan.variables);
        V* x = w.variables.data();
        pairs_.sums(c, w, b.count, committee, x);
        x[plan.one] = Simd<A>::set(1);
        nodes_forward(plan, x);
        couple<A>(plan, c.clebsch_gordan.data(), x);
        return x;
    }

    // Energies of one output, and their slopes by the densities. A linear model's adjoints are made
    // in the same pass.
    void energies(const Batch& b, const Centre<T, A>& c, Work& w, int output, const V* x,
                  V* slope) const {
        const Plan& plan = c.plan;
        w.adjoints.need(plan.variables);
        V rho[most_densities];
        if (!tables_.embeddings.present) {
            V* adjoint = w.adjoints.data();
            std::memset(static_cast<void*>(adjoint), 0, sizeof(V) * plan.variables);
            rho[0] = form_linear<A>(plan, c.coefficients[output][0].data(), x, adjoint);
        } else {
            w.rows.need(plan.kept * tables_.densities);
            products_.forward(c, output, x, w.rows.data(), rho);
        }
        for (int a = 0; a < b.count; a++) {
            double lane[most_densities] = {}, pull[most_densities] = {};
            for (int p = 0; p < tables_.densities; p++) lane[p] = rho[p][a];
            const double energy = products_.energy(b.species, w.atoms[a], output, lane, pull);
            for (int p = 0; p < tables_.densities; p++) slope[p][a] = static_cast<A>(pull[p]);
            const Piece& piece = *w.atoms[a].piece;
            if (piece.out->energies && output < piece.out->outputs)
                piece.out->energies[static_cast<size_t>(output) * piece.in->atoms +
                                    piece.original(w.atoms[a].index)] =
                    energy + tables_.e0[b.species];
        }
    }

    void derivatives(Call& call, const Batch& b, const Centre<T, A>& c, Work& w, int output,
                     const V* x, const V* slope) const {
        V* adjoint = w.adjoints.data();
        if (tables_.embeddings.present)
            products_.backward(c, output, x, w.rows.data(), adjoint, slope);
        uncouple<A>(c.plan, c.clebsch_gordan.data(), x, adjoint);
        nodes_backward(c.plan, x, adjoint);
        forces_.adjoints(c, w, adjoint);
        for (int a = 0; a < b.count; a++)
            if (output < w.atoms[a].piece->out->outputs)
                forces_.forces(c, w, a, output, slope, call.points(), call.structures());
    }

    const Tables& tables_;
    const std::vector<std::unique_ptr<Centre<T, A>>>& centres_;
    const double cutoff_;
    const PairStage<T, A> pairs_;
    const ProductStage<T, A> products_;
    const ForceStage<T, A> forces_;
};

}  // namespace ace::ACE_ISA
