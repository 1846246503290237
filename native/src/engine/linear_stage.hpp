// Sums over neighbours of what enters values of sites by itself (Plan::linears), and back.
#pragma once
#include <algorithm>

#include "engine/shared.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

template <class T, class A>
class LinearStage {
  public:
    static constexpr int batch = Simd<A>::W;
    using V = typename Simd<T>::V;
    using VA = typename Simd<A>::V;
    using Work = Workspace<T, A>;

    explicit LinearStage(const Tables& tables) : tables_(tables) {}

    // Sums of radial functions, or of what has taken the place of their slopes, as variables.
    void sums(const Centre<T, A>& c, Work& w, int count, bool slopes, VA* x) const {
        const int total = c.plan.linear * tables_.species;
        if (total == 0) return;
        w.linear.need(static_cast<size_t>(batch) * total);
        for (int a = 0; a < batch; a++) {
            A* out = w.linear.data() + static_cast<size_t>(a) * total;
            if (a >= count) {
                std::fill(out, out + total, A(0));
                continue;
            }
            typename Work::Atom& atom = w.atoms[a];
            const V* from = (slopes ? atom.slope : atom.radial).data();
            for (int z = 0; z < tables_.species; z++, out += c.plan.linear)
                for (const Linear& some : c.plan.linears)
                    add(from + some.place, c.plan.columns, atom.groups[z], atom.groups[z + 1],
                        some.padded, out + some.at);
        }
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
    static const T* of_atom(const Centre<T, A>& c, Work& w, int a, int species) {
        return w.linear_pulls.data() + static_cast<size_t>(a) * c.plan.linear * species;
    }

  private:
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
