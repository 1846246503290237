// The derivatives of all functions in the A's of one family, for neighbours and for whole atoms.
#pragma once
#include <algorithm>
#include <cstddef>

#include "rows/moments.hpp"
#include "rows/plan.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

// A vector of neighbours of one atom.
struct Pair {
    const V *unit, *harmonics, *radial;  // radial: R/r and R' by channel
    const double* kept;                  // of the atom
};

// Where the walk holds what it needs again and again.
struct WalkWork {
    Scratch<V> harmonics, radial;  // side by side: [lm][pair]; [channel][pair][2]
    Scratch<V> rests;              // [rest][pair]: t without its part along u, then s
    Scratch<V> slots;              // [slot][pair][xyz]
};

// -dB/dr of the same W atoms as neighbours of N others (or further images), summed over these.
template <int N>
class NeighbourWalk {
  public:
    NeighbourWalk(const Program& program, const Pair* pairs, int harmonics, int channels,
                  WalkWork& work)
        : program_(program) {
        work.harmonics.need(size_t(harmonics) * N);
        work.radial.need(size_t(channels) * 2 * N);
        work.rests.need(size_t(program.most_rests) * 4 * N);
        work.slots.need(size_t(program.slots) * 3 * N);
        harmonics_ = work.harmonics.data();
        radial_ = work.radial.data();
        rests_ = work.rests.data();
        slots_ = work.slots.data();
        for (int n = 0; n < N; n++) {
            kept_[n] = pairs[n].kept;
            for (int d = 0; d < 3; d++) unit_[n][d] = pairs[n].unit[d];
            for (int k = 0; k < harmonics; k++) harmonics_[k * N + n] = pairs[n].harmonics[k];
            for (int k = 0; k < channels; k++)
                for (int d = 0; d < 2; d++) radial_[2 * (k * N + n) + d] = pairs[n].radial[2 * k + d];
        }
    }

    // Writes or adds the results of a chunk to sums [result][xyz].
    template <bool add>
    __attribute__((noinline)) void run(const Chunk& chunk, V* sums) {
        for (int n = 0; n < N; n++) make_rests(chunk, n);
        const ace::rows::Term* term = program_.terms.data() + chunk.first_term;
        const Result* r = program_.results.data() + chunk.first_result;
        const Result* const end = program_.results.data() + chunk.end_result;
        while (r < end) {
            if (r->slot < 0) {
                constexpr int M = N > 1 ? 2 : 1;  // chains of sums that do not wait for each other
                V sum[M][3] = {};
                start<add>(sums, sum[0]);
                term = derivative<M>(*r++, term, sum);
                if (M > 1)
                    for (int d = 0; d < 3; d++) sum[0][d] += sum[M - 1][d];
                finish(sum[0], sums);
                sums += 3;
                continue;
            }
            V f[N][3] = {}, sum[3];
            term = derivative<N>(*r, term, f);
            start<add>(sums, sum);
            V* slot = slots_ + size_t(3 * N) * r->slot;
#pragma GCC unroll 4
            for (int n = 0; n < N; n++)
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) {
                    sum[d] += f[n][d];
                    slot[3 * n + d] = f[n][d];
                }
            finish(sum, sums);
            sums += 3;
            const Result* const last = r + 1 + r->leaves;
            for (r++; r < last; r++, sums += 3) {
                start<add>(sums, sum);
                leaf(*r, f, sum);
                finish(sum, sums);
            }
        }
    }

  private:
    void make_rests(const Chunk& chunk, int n) {
        const V u[3] = {unit_[n][0], unit_[n][1], unit_[n][2]};
        const Rest* rest = program_.rests.data() + chunk.first_rest;
        const Rest* const end = program_.rests.data() + chunk.end_rest;
        V* to = rests_ + 4 * n;
        for (; rest < end && rest->l == 0; rest++, to += 4 * N) to[3] = S::set(kept_[n][rest->kept]);
        for (; rest < end && rest->l == 1; rest++, to += 4 * N) make<1>(1, n, *rest, u, to);
        for (; rest < end && rest->l == 2; rest++, to += 4 * N) make<2>(2, n, *rest, u, to);
        for (; rest < end && rest->l == 3; rest++, to += 4 * N) make<3>(3, n, *rest, u, to);
        for (; rest < end; rest++, to += 4 * N) make<0>(rest->l, n, *rest, u, to);
    }

    template <int known_l>
    ACE_INLINE void make(int given_l, int n, const Rest& rest, const V* u, V* to) const {
        const int l = known_l ? known_l : given_l;
        const double* w = kept_[n] + rest.kept;
        const V* y = harmonics_ + (l - 1) * (l - 1) * N + n;
        V t[3] = {};
#pragma GCC unroll 8
        for (int m = 0; m < 2 * l - 1; m++, w += 3)
            for (int d = 0; d < 3; d++) t[d] += w[d] * y[m * N];
        const V along = u[0] * t[0] + u[1] * t[1] + u[2] * t[2];
        for (int d = 0; d < 3; d++) to[d] = t[d] - along * u[d];
        to[3] = along * (1.0 / l);
    }

    template <bool add>
    static ACE_INLINE void start(const V* from, V* sum) {
#pragma GCC unroll 3
        for (int d = 0; d < 3; d++) sum[d] = add ? from[d] : V{};
    }
    static ACE_INLINE void finish(const V* sum, V* to) {
#pragma GCC unroll 3
        for (int d = 0; d < 3; d++) to[d] = sum[d];
    }

    // A function whose parent f was the last that is no leaf itself.
    ACE_INLINE void leaf(const Result& r, const V (*f)[3], V* sum) const {
        const V* radial = radial_ + size_t(2 * N) * std::max(r.channel, 0) + 1;
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            const double* kept = kept_[n] + r.kept;
            const V w = S::set(kept[0]);
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) sum[d] += w * f[n][d];
            if (r.channel < 0) continue;
            const V s = kept[1] * radial[2 * n];
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) sum[d] += s * unit_[n][d];
        }
    }

    // Adds the derivative of a function to `to`, of each pair or (M = 1) of all.
    template <int M>
    ACE_INLINE const ace::rows::Term* derivative(const Result& r, const ace::rows::Term* term,
                                                 V (*to)[3]) const {
        V s[N] = {};
        int kept = r.kept;
        if (r.parent >= 0) {
            const V* parent = slots_ + size_t(3 * N) * r.parent;
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                const V w = S::set(kept_[n][kept]);
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) to[n % M][d] += w * parent[3 * n + d];
            }
            kept++;
        }
        for (int k = 0; k < r.terms; k++, term++) {
            const V* rest = rests_ + size_t(4 * N) * term->rest;
            const V* radial = radial_ + size_t(2 * N) * term->channel;
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) to[n % M][d] += radial[2 * n] * rest[4 * n + d];
                s[n] += radial[2 * n + 1] * rest[4 * n + 3];
            }
        }
        for (int k = 0; k < r.radial_terms; k++, term++) {
            const V* rest = rests_ + size_t(4 * N) * term->rest;
            const V* radial = radial_ + size_t(2 * N) * term->channel;
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) s[n] += radial[2 * n + 1] * rest[4 * n + 3];
        }
        if (r.channel >= 0) {
            const V* radial = radial_ + size_t(2 * N) * r.channel;
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) s[n] += kept_[n][kept] * radial[2 * n + 1];
        }
#pragma GCC unroll 4
        for (int n = 0; n < N; n++)
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) to[n % M][d] += s[n] * unit_[n][d];
        return term;
    }

    const Program& program_;
    const double* kept_[N];
    V unit_[N][3];
    V *harmonics_, *radial_, *rests_, *slots_;
};

// The same for sums over all neighbours, atoms in the lanes: from the first `width` moments of
// every A to as many of every function, which `to` is given.
template <int width, class To>
void walk_moments(const Program& program, const V* weights, const V* moments, V* slots, To&& to) {
    moments += static_cast<size_t>(program.begin) * moment_count;
    const auto add = [&](V* sum, V w, const V* from) ACE_LAMBDA {
#pragma GCC unroll 9
        for (int q = 0; q < width; q++) sum[q] += w * from[q];
    };
    const ace::rows::Term* term = program.terms.data();
    for (const Chunk& chunk : program.chunks)
        for (int k = chunk.first_result; k < chunk.end_result; k++) {
            const Result& r = program.results[k];
            V sum[width] = {};
            for (int end = r.terms + r.radial_terms, t = 0; t < end; t++, term++) {
                const Rest& rest = program.rests[chunk.first_rest + term->rest];
                for (int m = 0; m <= 2 * rest.l; m++)
                    add(sum, weights[rest.weight + m],
                        moments + static_cast<size_t>(term->column + m) * moment_count);
            }
            const V* w = weights + r.weight;
            if (r.parent >= 0) add(sum, *w++, slots + size_t(width) * r.parent);
            if (r.channel >= 0)
                add(sum, *w, moments + static_cast<size_t>(r.column) * moment_count);
            if (r.slot >= 0) {
#pragma GCC unroll 9
                for (int q = 0; q < width; q++) slots[size_t(width) * r.slot + q] = sum[q];
            }
            to(r.function, sum);
        }
}

}  // namespace ace::ACE_ISA::rows
