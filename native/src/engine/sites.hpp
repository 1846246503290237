// What the verbs of site values share: the plans, what a thread works with, and the way of numbers
// between the lanes and the caller's arrays.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/call.hpp"
#include "engine/couple.hpp"
#include "engine/dual.hpp"
#include "engine/form.hpp"
#include "engine/geometry.hpp"
#include "engine/linear_stage.hpp"
#include "engine/pair_stage.hpp"
#include "engine/shared.hpp"
#include "engine/site_stage.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// What the engine reads for the site values of one central species.
template <class T, class A>
struct SiteCentre {
    SitePlan site;  // its `plan` is the centre's
    const Centre<T, A> centre;
    const std::vector<A> coefficients, value_coefficients;

    SiteCentre(const Tables& tables, int s)
        : site(tables, s, Centre<T, A>::widths()), centre(std::move(site.plan), tables, s),
          coefficients(site.coefficients.begin(), site.coefficients.end()),
          value_coefficients(site.value_coefficients.begin(), site.value_coefficients.end()) {}
};

// Whether some numbers are not finite, in fast arithmetic, which takes every number for finite.
template <class A>
struct NotFinite {
    using Bits = std::conditional_t<std::is_same_v<A, double>, int64_t, int32_t>;
    typedef Bits I __attribute__((vector_size(BYTES), may_alias));
    static constexpr Bits exponent =
        std::is_same_v<A, double> ? Bits(0x7ff) << (sizeof(A) == 8 ? 52 : 0) : Bits(0x7f800000);
    I all = {};
    ACE_INLINE void look(typename Simd<A>::V v) {
        I bits;
        std::memcpy(&bits, &v, sizeof bits);
        all |= (bits & exponent) == exponent;
    }
    bool found() const {
        for (int q = 0; q < Simd<A>::W; q++)
            if (all[q]) return true;
        return false;
    }
};

template <class T, class A>
struct SiteWork : Workspace<T, A> {
    using V = typename Simd<T>::V;
    using VA = typename Simd<A>::V;
    Scratch<VA> values;  // of sites, or their adjoints: [row], padded to whole vectors
    // Of derivatives: harmonics, sums of A's in parts and as a whole, variables.
    Scratch<V> turned, turned_sums;
    Scratch<A> turned_components;
    Scratch<VA> tangents;
    Scratch<Dual<A>> duals;
};

template <class T, class A>
struct Sites {
    static constexpr int batch = Simd<A>::W;
    using S = Simd<A>;
    using VA = typename S::V;
    using Work = SiteWork<T, A>;

    const Tables& tables;
    const int rows, padded;  // values of a site
    const double cutoff;
    const PairStage<T, A> pairs;
    const LinearStage<T, A> linear;
    std::vector<std::unique_ptr<const SiteCentre<T, A>>> centres;

    explicit Sites(const Shared<T, A>& shared)
        : tables(shared.tables), rows(tables.rows()), padded((rows + batch - 1) / batch * batch),
          cutoff(shared.cutoff), pairs(shared), linear(tables) {
        for (int s = 0; s < tables.species; s++)
            centres.push_back(std::make_unique<SiteCentre<T, A>>(tables, s));
    }

    // Multiplications of the stages, for each species.
    std::vector<Cost> costs() const {
        std::vector<Cost> out;
        for (const auto& s : centres) {
            const Plan& plan = s->centre.plan;
            out.push_back({8.0 * static_cast<double>(plan.ops.size()) + 4 * plan.variables +
                               2.0 * static_cast<double>(s->coefficients.size()) +
                               8.0 * static_cast<double>(s->value_coefficients.size()),
                           10.0 * plan.columns + 4.0 * plan.used + 100});
        }
        return out;
    }

    // Neighbours of the atoms of a batch and their radial functions.
    void neighbours(Call& call, const Batch& b, const Centre<T, A>& c, Work& w, Wanted some,
                    Wanted of_linear) const {
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].piece = &call.piece(b.members[a]);
            w.atoms[a].index = b.members[a].index;
            geometry(w, tables.species, cutoff, c.plan.columns, w.atoms[a]);
        }
        pairs.radial(c, w, b.count, false, some, of_linear);
    }

    // Variables from those of the A's, but for dot products: all, or without those that only values
    // need.
    template <class X>
    static void interior(const SiteCentre<T, A>& s, X* x, bool all = true) {
        x[s.centre.plan.one] = S::set(1);
        nodes_forward(s.centre.plan, x, all);
        couple<A>(s.centre.plan, s.centre.clebsch_gordan.data(), x);
    }

    // Those of a batch, but of linear columns and dot products.
    VA* variables(const Batch& b, const SiteCentre<T, A>& s, Work& w, bool all) const {
        w.variables.need(s.centre.plan.variables);
        pairs.sums(s.centre, w, b.count, false, w.variables.data());
        interior(s, w.variables.data(), all);
        return w.variables.data();
    }

    // Where the values of an atom of the batch lie; `arrays` are the caller's, [atoms][rows] each.
    template <class P>
    P row_of(P const* arrays, const Neighbourhood<T>& atom) const {
        return arrays[atom.piece->number] +
               static_cast<size_t>(atom.piece->original(atom.index)) * rows;
    }

    void need_values(Work& w) const {
        w.values.need(padded);
        for (int k = rows; k < padded; k++) w.values[k] = VA{};
    }

    // From w.values to the caller's arrays.
    void put_values(const Batch& b, Work& w, double* const* out) const {
        double* to[batch];
        for (int a = 0; a < b.count; a++) to[a] = row_of<double*>(out, w.atoms[a]);
        NotFinite<A> some;
        for (int k = 0; k < padded; k += batch) {
            VA t[batch];
#pragma GCC unroll 16
            for (int q = 0; q < batch; q++) some.look(t[q] = w.values[k + q]);
            S::transpose(t);
            const int count = std::min(batch, rows - k);
#pragma GCC unroll 16
            for (int a = 0; a < batch; a++)
                if (a < b.count) store(to[a] + k, t[a], count);
        }
        if (some.found())
            for (int a = 0; a < b.count; a++) w.atoms[a].piece->doubt();
    }

    // `count` numbers, as many as there are lanes or fewer.
    static ACE_INLINE void store(double* to, VA from, int count) {
        if constexpr (std::is_same_v<A, double>)
            if (count == batch) return S::store(to, from);
        for (int q = 0; q < count; q++) to[q] = from[q];
    }
    static ACE_INLINE VA loaded(const double* from, int count) {
        if constexpr (std::is_same_v<A, double>)
            if (count == batch) return S::load(from);
        VA out = {};
        for (int q = 0; q < count; q++) out[q] = static_cast<A>(from[q]);
        return out;
    }

    // From the caller's arrays to w.values. Lanes without an atom, which nobody reads, have those
    // of the first.
    void get_adjoints(const Batch& b, Work& w, const double* const* in) const {
        const double* from[batch];
        for (int a = 0; a < batch; a++)
            from[a] = row_of<const double*>(in, w.atoms[a < b.count ? a : 0]);
        w.values.need(padded);
        for (int k = 0; k < padded; k += batch) {
            VA t[batch];
            const int count = std::min(batch, rows - k);
#pragma GCC unroll 16
            for (int a = 0; a < batch; a++) t[a] = loaded(from[a] + k, count);
            S::transpose(t);
#pragma GCC unroll 16
            for (int q = 0; q < batch; q++) w.values[k + q] = t[q];
        }
    }
};

}  // namespace ace::ACE_ISA
