// What the verbs of site values share: the plans, what a thread works with, and the way of numbers
// between the lanes and the caller's arrays.
#pragma once
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/call.hpp"
#include "engine/couple.hpp"
#include "engine/dual.hpp"
#include "engine/form.hpp"
#include "engine/geometry.hpp"
#include "engine/pair_stage.hpp"
#include "engine/shared.hpp"
#include "engine/site_stage.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// What the engine reads for the site values of one central species.
template <class T>
struct SiteCentre {
    SitePlan site;  // its `plan` is the centre's
    const Centre<T> centre;
    const std::vector<T> coefficients;

    SiteCentre(const Tables& tables, int s)
        : site(tables, s, Centre<T>::widths()), centre(std::move(site.plan), tables, s),
          coefficients(site.coefficients.begin(), site.coefficients.end()) {}
};

template <class T>
struct SiteWork : Workspace<T> {
    using V = typename Simd<T>::V;
    Scratch<V> values;  // of sites, or their adjoints: [row], padded to whole vectors
    Scratch<V> gradients, turned, tangents;
    Scratch<T> moved;   // [component of dA]
    Scratch<Dual<T>> duals;
};

template <class T>
struct Sites {
    static constexpr int W = Simd<T>::W;
    using S = Simd<T>;
    using V = typename S::V;

    const Tables& tables;
    const int rows, padded;  // values of a site
    const double cutoff;
    const PairStage<T> pairs;
    std::vector<std::unique_ptr<const SiteCentre<T>>> centres;

    explicit Sites(const Shared<T>& shared)
        : tables(shared.tables), rows(tables.rows()), padded((rows + W - 1) / W * W),
          cutoff(shared.cutoff), pairs(shared) {
        for (int s = 0; s < tables.species; s++)
            centres.push_back(std::make_unique<SiteCentre<T>>(tables, s));
    }

    // Neighbours of the atoms of a batch and their radial functions.
    void neighbours(Call& call, const Batch& b, const Centre<T>& c, SiteWork<T>& w) const {
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].piece = &call.piece(b.members[a]);
            w.atoms[a].index = b.members[a].index;
            geometry<T>(w, tables.species, cutoff, c.plan.columns, w.atoms[a]);
        }
        pairs.radial(c, w, b.count, false);
    }

    // All variables, from those of the A's.
    template <class X>
    static void interior(const SiteCentre<T>& s, X* x) {
        x[s.centre.plan.one] = S::set(1);
        nodes_forward(s.centre.plan, x);
        couple<T>(s.centre.plan, s.centre.clebsch_gordan.data(), x);
        dots_forward(s.site.dots, x);
    }

    // All variables of a batch.
    V* variables(Call& call, const Batch& b, const SiteCentre<T>& s, SiteWork<T>& w) const {
        neighbours(call, b, s.centre, w);
        w.variables.need(s.centre.plan.variables);
        pairs.sums(s.centre, w, b.count, false, w.variables.data());
        interior(s, w.variables.data());
        return w.variables.data();
    }

    // Where the values of an atom of the batch lie; `arrays` are the caller's, [atoms][rows] each.
    template <class A>
    auto* row_of(A* const* arrays, const typename Workspace<T>::Atom& atom) const {
        return arrays[atom.piece->number] +
               static_cast<size_t>(atom.piece->original(atom.index)) * rows;
    }

    // From w.values to the caller's arrays.
    void put_values(const Batch& b, SiteWork<T>& w, double* const* out) const {
        double* to[W];
        for (int a = 0; a < b.count; a++) to[a] = row_of(out, w.atoms[a]);
        for (int k = 0; k < padded; k += W) {
            V t[W];
#pragma GCC unroll 16
            for (int q = 0; q < W; q++) t[q] = w.values[k + q];
            S::transpose(t);
            const int count = std::min(W, rows - k);
            for (int a = 0; a < b.count; a++) {
                if (std::is_same_v<T, double> && count == W) {
                    put(to[a] + k, t[a]);
                    continue;
                }
                for (int q = 0; q < count; q++) to[a][k + q] = t[a][q];
            }
        }
    }

    // From the caller's arrays to w.values; 0 for lanes without an atom.
    void get_adjoints(const Batch& b, SiteWork<T>& w, const double* const* in) const {
        const double* from[W];
        for (int a = 0; a < b.count; a++) from[a] = row_of(in, w.atoms[a]);
        w.values.need(padded);
        for (int k = 0; k < padded; k += W) {
            V t[W] = {};
            const int count = std::min(W, rows - k);
            for (int a = 0; a < b.count; a++)
                for (int q = 0; q < count; q++) t[a][q] = static_cast<T>(from[a][k + q]);
            S::transpose(t);
#pragma GCC unroll 16
            for (int q = 0; q < W; q++) w.values[k + q] = t[q];
        }
    }

  private:
    static ACE_INLINE void put(double* to, Simd<double>::V v) { Simd<double>::store(to, v); }
    static ACE_INLINE void put(double*, Simd<float>::V) {}
};

}  // namespace ace::ACE_ISA
