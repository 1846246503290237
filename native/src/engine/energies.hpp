// Energies of a batch of atoms, and what they add to forces and virials.
//
// Neighbours lie across the lanes of vectors in the pair stages, atoms in the product stage:
//   geometry   unit vectors and distances, grouped by species, padded to whole vectors
//   radial     R and dR/du of all columns from the quintic tables
//   A          sum over neighbours of R Y, tile by tile
//   products   nodes, then the bilinear form; the adjoint of all A's
//   forces     sums over n of a R and a R', tile by tile, then the angular part
#pragma once
#include <memory>
#include <vector>

#include "engine/call.hpp"
#include "engine/committee_stage.hpp"
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
          products_(shared), forces_(shared), committee_(shared) {}

    // Before the batches of a call.
    void prepare(const Call& call) { committee_.prepare(call); }

    void batch(Call& call, const Batch& b, Work& w) const {
        const Centre<T, A>& c = *centres_[b.species];
        const V* x = variables(call, b, c, w);
        if (!call.wants_derivatives()) return committee_.energies(call, b, c, w, x);
        for (int a = 0; a < b.count; a++) forces_.rows(w, a);
        if (call.combined()) {
            committee_.combination(call, b, c, w, x);
            const int densities = call.outputs() * tables_.densities;
            return forces(call, b, c, w, 0, x, {w.slopes.data(), 0, densities});
        }
        for (int o = 0; o < call.outputs(); o++) {
            V slope[most_densities] = {};
            output(b, c, w, o, x, slope);
            forces(call, b, c, w, o, x, {slope, o * tables_.densities, tables_.densities});
        }
    }

    // Multiplications of the stages, for each species.
    std::vector<Cost> costs() const {
        std::vector<Cost> out;
        for (const auto& centre : centres_) {
            const Plan& plan = centre->plan;
            double form = 0;
            for (const Block& b : plan.blocks)
                form += 2.0 * b.rows * b.columns * b.width * tables_.densities;
            out.push_back({form + 8.0 * static_cast<double>(plan.ops.size()) + 4 * plan.variables,
                           10.0 * plan.columns + 4.0 * plan.used + 100});
        }
        return out;
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

    // Energies of one output, their slopes by the densities, and the adjoints of all variables. A
    // linear model's are made in the same pass.
    void output(const Batch& b, const Centre<T, A>& c, Work& w, int o, const V* x, V* slope) const {
        const Plan& plan = c.plan;
        V* adjoint = cleared(w, plan);
        V rho[most_densities];
        if (!tables_.embeddings.present) {
            rho[0] = form_linear<A>(plan, c.coefficients[o][0].data(), x, adjoint);
            products_.energies(b, w, o, rho, slope);
            return;
        }
        w.rows.need(plan.kept * tables_.densities);
        products_.forward(c, o, x, w.rows.data(), rho);
        products_.energies(b, w, o, rho, slope);
        products_.backward(c, o, x, w.rows.data(), adjoint, slope);
    }

    // What these adjoints add to forces and virials.
    void forces(Call& call, const Batch& b, const Centre<T, A>& c, Work& w, int o, const V* x,
                const Slopes<V>& slopes) const {
        V* adjoint = w.adjoints.data();
        uncouple<A>(c.plan, c.clebsch_gordan.data(), x, adjoint);
        nodes_backward(c.plan, x, adjoint);
        forces_.adjoints(c, w, adjoint);
        for (int a = 0; a < b.count; a++)
            if (o < w.atoms[a].piece->derived())
                forces_.forces(c, w, a, o, slopes, call.structures());
    }

    const Tables& tables_;
    const std::vector<std::unique_ptr<Centre<T, A>>>& centres_;
    const double cutoff_;
    const PairStage<T, A> pairs_;
    const ProductStage<T, A> products_;
    const ForceStage<T, A> forces_;
    CommitteeStage<T, A> committee_;
};

}  // namespace ace::ACE_ISA
