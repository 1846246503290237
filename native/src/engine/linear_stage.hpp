// Sums over neighbours of what enters values of sites by itself (Plan::linears), and back.
#pragma once
#include <algorithm>

#include "engine/radial.hpp"
#include "engine/shared.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

template <class T, class A>
class LinearStage {
  public:
    static constexpr int batch = Simd<A>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using VA = typename Simd<A>::V;
    using Work = Workspace<T, A>;

    explicit LinearStage(const Tables& tables) : tables_(tables) {}

    // Sums of radial functions, as variables.
    void sums(const Centre<T, A>& c, Work& w, int count, VA* x) const {
        const int total = c.plan.linear * tables_.species;
        if (total == 0) return;
        w.linear.need(static_cast<size_t>(batch) * total);
        A* out = w.linear.data();
        for (int a = 0; a < count; a++) {
            typename Work::Atom& atom = w.atoms[a];
            for (int z = 0; z < tables_.species; z++, out += c.plan.linear)
                for (const Linear& some : c.plan.linears)
                    add(atom.radial.data() + some.place, c.plan.columns, atom.groups[z],
                        atom.groups[z + 1], some.padded, out + some.at);
        }
        std::fill(out, w.linear.data() + static_cast<size_t>(batch) * total, A(0));
        put_variables(c, w, total, x);
    }

    // Sums of slopes times the factors of the neighbours, as variables.
    void moved_sums(const Centre<T, A>& c, Work& w, int count, VA* x) const {
        const int total = c.plan.linear * tables_.species;
        if (total == 0) return;
        w.linear.zero(static_cast<size_t>(batch) * total);
        each_located(c, w, count, [&](const Source& source, const Interval<T>& interval,
                                      const Linear& some, int z, int a, int v) {
            V sums[most_together];
            alignas(BYTES) T flat[most_together * W];
            A* out = w.linear.data() + some.at +
                     (static_cast<size_t>(a) * tables_.species + z) * c.plan.linear;
            for (int k = 0; k < source.padded; k += most_together * W) {
                const int columns = std::min(most_together * W, source.padded - k);
                Interval<T> here = interval;
                here.rows += 6 * k;
                std::fill(sums, sums + columns / W, V{});
                Radial<T>::add_slopes(columns, here, w.located[0], w.atoms[a].linear[v], sums);
                for (int q = 0; q < columns; q += W) S::store(flat + q, sums[q / W]);
                for (int q = 0; q < columns; q++) out[k + q] += flat[q];
            }
        });
        put_variables(c, w, total, x);
    }

    // Adjoints of the sums, for the force stage: [atom][species][sum].
    void adjoints(const Centre<T, A>& c, Work& w, const VA* adjoint) const {
        const int total = c.plan.linear * tables_.species;
        w.linear_pulls.need(static_cast<size_t>(batch) * total);
        for (int k = 0; k < total; k += batch) {
            VA t[batch];
#pragma GCC unroll 16
            for (int q = 0; q < batch; q++) t[q] = adjoint[c.plan.linear_first + k + q] * A(y00);
            Simd<A>::transpose(t);
#pragma GCC unroll 16
            for (int q = 0; q < batch; q++)
                put(w.linear_pulls.data() + static_cast<size_t>(q) * total + k, t[q]);
        }
    }

    // With these the slopes of what enters by itself, of all neighbours of the atoms of a batch: of
    // the columns together, which takes less than those of each.
    void slopes(const Centre<T, A>& c, Work& w, int count) const {
        const Plan& plan = c.plan;
        if (plan.linears.empty()) return;
        for (int a = 0; a < count; a++)
            w.atoms[a].linear.zero(w.atoms[a].groups[tables_.species]);
        each_located(c, w, count, [&](const Source& source, const Interval<T>& interval,
                                      const Linear& some, int z, int a, int v) {
            const T* weights = w.linear_pulls.data() + some.at +
                               (static_cast<size_t>(a) * tables_.species + z) * plan.linear;
            w.atoms[a].linear[v] +=
                Radial<T>::weighted_slope(source.padded, interval, w.located[0], weights);
        });
    }

  private:
    static constexpr int W = S::W, most_together = 8;

    // Calls visit(source, interval, linear columns, species, atom, vector of neighbours) for all of
    // them that sources of linear columns reach; w.located[0] says where they read the tables.
    template <class F>
    void each_located(const Centre<T, A>& c, Work& w, int count, F&& visit) const {
        const Linear* some = c.plan.linears.data();
        for (size_t s = 0; s < c.plan.sources.size(); s++) {
            const Source& source = c.plan.sources[s];
            if (!source.linear) continue;
            for (int z = 0; z < tables_.species; z++) {
                int most = 0;
                for (int a = 0; a < count; a++)
                    most = std::max(most, w.atoms[a].groups[z + 1] - w.atoms[a].groups[z]);
                // In step over the batch, so that the same rows of the table stay close.
                for (int q = 0; q < most; q++)
                    for (int a = 0; a < count; a++) {
                        typename Work::Atom& atom = w.atoms[a];
                        const int v = atom.groups[z] + q;
                        if (v < atom.groups[z + 1] &&
                            Radial<T>::locate(source, c.intervals[s][z], atom, v, w.located[0]))
                            visit(source, c.intervals[s][z], *some, z, a, v);
                    }
            }
            some++;
        }
    }

    // From w.linear, [atom][sum], to variables.
    void put_variables(const Centre<T, A>& c, Work& w, int total, VA* x) const {
        for (int k = 0; k < total; k += batch) {
            VA t[batch];
#pragma GCC unroll 16
            for (int q = 0; q < batch; q++)
                t[q] = Simd<A>::load(w.linear.data() + static_cast<size_t>(q) * total + k);
            Simd<A>::transpose(t);
#pragma GCC unroll 16
            for (int q = 0; q < batch; q++) x[c.plan.linear_first + k + q] = t[q] * A(y00);
        }
    }

    static constexpr double y00 = 0.28209479177387814;

    static void add(const V* from, int step, int begin, int end, int padded, A* out) {
        from += static_cast<size_t>(begin) * step;
        constexpr int together = summed_together<T, A>;
        for (int k = 0; k < padded; k += together) {
            V sum[together] = {};
            const V* at = from + k;
            for (int v = begin; v < end; v++, at += step)
#pragma GCC unroll 16
                for (int q = 0; q < together; q++) sum[q] += at[q];
            store_sums<T, A>(out + k, sum);
        }
    }

    const Tables& tables_;
};

}  // namespace ace::ACE_ISA
