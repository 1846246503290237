// Energies of several outputs over one set of A's, and the adjoints of a weighted sum of them.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/call.hpp"
#include "engine/form.hpp"
#include "engine/product_stage.hpp"
#include "engine/shared.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// The adjoints of a thread, all zero.
template <class T, class A>
typename Simd<A>::V* cleared(Workspace<T, A>& w, const Plan& plan) {
    w.adjoints.need(plan.variables);
    std::memset(static_cast<void*>(w.adjoints.data()), 0, sizeof(typename Simd<A>::V) * plan.variables);
    return w.adjoints.data();
}

template <class T, class A = T>
class CommitteeStage {
  public:
    using V = typename Simd<A>::V;
    using Work = Workspace<T, A>;

    explicit CommitteeStage(const Shared<T, A>& shared)
        : tables_(shared.tables), centres_(shared.centres), products_(shared) {}

    // Of a linear model the sum of outputs is a linear model, too, where all atoms of a call have
    // the same weights: its coefficients.
    void prepare(const Call& call) {
        mixed_.clear();
        wants_energies_ = call.wants_energies();
        if (!call.combined() || tables_.embeddings.present) return;
        const std::vector<double> weights = call.shared_weights();
        if (weights.empty()) return;
        for (const auto& centre : centres_) {
            std::vector<double> sum(centre->coefficients[0][0].size());
            for (size_t o = 0; o < weights.size(); o++)
                for (size_t k = 0; k < sum.size(); k++)
                    sum[k] += weights[o] * centre->coefficients[o][0][k];
            mixed_.emplace_back(sum.begin(), sum.end());
        }
    }

    // Energies of all outputs, without anything for their derivatives.
    void energies(const Call& call, const Batch& b, const Centre<T, A>& c, Work& w,
                  const V* x) const {
        V slope[most_densities];
        if (tables_.embeddings.present) {
            w.rows.need(c.plan.kept * tables_.densities);
            for (int o = 0; o < call.outputs(); o++) {
                V rho[most_densities];
                products_.forward(c, o, x, w.rows.data(), rho);
                products_.energies(b, w, o, rho, slope);
            }
        } else if (call.outputs() == 1) {  // fewer than the first bundle has
            V rho;
            products_.template some_forward<false>(c.plan, 1, c.coefficients[0][0].data(), x,
                                                   nullptr, &rho);
            products_.energies(b, w, 0, &rho, slope);
        } else {
            each_bundle(call, c, [&](int first, int count, const A* coefficients) {
                V rho[densities_at_once];
                products_.template some_forward<false>(c.plan, count, coefficients, x, nullptr, rho);
                for (int q = 0; q < count && first + q < call.outputs(); q++)
                    products_.energies(b, w, first + q, rho + q, slope);
            });
        }
    }

    // Energies of all outputs, the slopes of their sum by all densities, and its adjoints.
    void combination(const Call& call, const Batch& b, const Centre<T, A>& c, Work& w,
                     const V* x) const {
        V* adjoint = cleared(w, c.plan);
        w.slopes.need(static_cast<size_t>(call.outputs()) * tables_.densities);
        for (int a = 0; a < b.count; a++)
            w.atoms[a].core_weight = w.atoms[a].nearest_weight = w.atoms[a].nearest = 0;
        Sum sum;
        if (tables_.embeddings.present) {
            nonlinear(call, b, c, w, x, adjoint, sum);
        } else if (!mixed_.empty()) {
            if (wants_energies_) energies(call, b, c, w, x);
            form_linear<A>(c.plan, mixed_[b.species].data(), x, adjoint);
            for (int o = 0; o < call.outputs(); o++) {
                V one = Simd<A>::set(1);
                weigh(b, w, o, &one, sum);
            }
        } else {
            linear(call, b, c, w, x, adjoint, sum);
        }
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].core_weight = sum.core[a];
            w.atoms[a].nearest_weight = sum.nearest[a];
        }
    }

  private:
    // What only pairs carry, of the sum.
    struct Sum {
        double core[Simd<A>::W] = {}, nearest[Simd<A>::W] = {};
    };

    template <class F>
    void each_bundle(const Call& call, const Centre<T, A>& c, F&& visit) const {
        if (tables_.outputs == 1) return visit(0, 1, c.coefficients[0][0].data());
        for (int o = 0; o < call.outputs(); o += densities_at_once)
            visit(o, std::min(densities_at_once, tables_.outputs - o),
                  c.bundles[o / densities_at_once].data());
    }

    void nonlinear(const Call& call, const Batch& b, const Centre<T, A>& c, Work& w, const V* x,
                   V* adjoint, Sum& sum) const {
        w.rows.need(c.plan.kept * tables_.densities);
        for (int o = 0; o < call.outputs(); o++) {
            V rho[most_densities], slope[most_densities] = {};
            products_.forward(c, o, x, w.rows.data(), rho);
            products_.energies(b, w, o, rho, slope);
            weigh(b, w, o, slope, sum);
            products_.backward(c, o, x, w.rows.data(), adjoint,
                               w.slopes.data() + o * tables_.densities);
        }
    }

    // Atoms have weights of their own.
    void linear(const Call& call, const Batch& b, const Centre<T, A>& c, Work& w, const V* x,
                V* adjoint, Sum& sum) const {
        w.rows.need(c.plan.kept * densities_at_once);
        each_bundle(call, c, [&](int first, int count, const A* coefficients) {
            V rho[densities_at_once], slope[densities_at_once] = {};
            products_.template some_forward<true>(c.plan, count, coefficients, x, w.rows.data(), rho);
            for (int q = 0; q < count && first + q < call.outputs(); q++) {
                products_.energies(b, w, first + q, rho + q, slope + q);
                weigh(b, w, first + q, slope + q, sum);
                slope[q] = w.slopes[first + q];
            }
            products_.some_backward(c.plan, count, coefficients, x, w.rows.data(), adjoint, slope);
        });
    }

    // The part that one output has in the sum.
    void weigh(const Batch& b, Work& w, int o, const V* slope, Sum& sum) const {
        V* to = w.slopes.data() + o * tables_.densities;
        for (int p = 0; p < tables_.densities; p++) to[p] = V{};
        for (int a = 0; a < b.count; a++) {
            const auto& atom = w.atoms[a];
            if (o >= atom.piece->out->outputs) continue;
            const double weight = atom.piece->weight(o, atom.index);
            for (int p = 0; p < tables_.densities; p++)
                to[p][a] = static_cast<A>(weight * slope[p][a]);
            sum.core[a] += weight * atom.core_weight;
            sum.nearest[a] += weight * atom.nearest_weight;
        }
    }

    const Tables& tables_;
    const std::vector<std::unique_ptr<Centre<T, A>>>& centres_;
    const ProductStage<T, A> products_;
    std::vector<std::vector<A>> mixed_;  // [species]
    bool wants_energies_ = false;
};

}  // namespace ace::ACE_ISA
