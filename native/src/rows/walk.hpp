// The derivatives of all functions in the A's of one family, for neighbours, by terms.
#pragma once
#include <cstddef>

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
    Scratch<V> harmonics;         // side by side: [lm][pair]
    Scratch<V> channels, slopes;  // of the program: [channel][pair]; [slope][pair]
    Scratch<V> rests;             // [rest][pair]: t, then t.u
    Scratch<V> slots;             // [slot][pair][xyz]
};

// -dB/dr of the same W atoms as neighbours of N others (or further images), summed over these.
template <int N>
class NeighbourWalk {
  public:
    NeighbourWalk(const Program& program, const Pair* pairs, WalkWork& work) : program_(program) {
        const int harmonics = program.lmax * program.lmax;  // gradients are one l below
        // One more of each, so that what is never read is no null pointer to count from.
        work.harmonics.need(size_t(harmonics + 1) * N);
        work.channels.need((program.channels.size() + 1) * N);
        work.slopes.need((program.slopes.size() + 1) * N);
        work.rests.need(size_t(program.most_rests + 1) * 4 * N);
        work.slots.need(size_t(program.slots + 1) * 3 * N);
        harmonics_ = work.harmonics.data();
        channels_ = work.channels.data();
        slopes_ = work.slopes.data();
        rests_ = work.rests.data();
        slots_ = work.slots.data();
        for (int n = 0; n < N; n++) {
            kept_[n] = pairs[n].kept;
            const V* radial = pairs[n].radial;
            for (int d = 0; d < 3; d++) unit_[n][d] = pairs[n].unit[d];
            for (int k = 0; k < harmonics; k++) harmonics_[k * N + n] = pairs[n].harmonics[k];
            V* to = channels_ + n;
            for (const int channel : program.channels) {
                *to = radial[2 * channel];
                to += N;
            }
            to = slopes_ + n;
            for (const Slope& slope : program.slopes) {
                const V* r = radial + 2 * slope.channel;
                *to = slope.l ? r[1] * (1.0 / slope.l) - r[0] : r[1];
                to += N;
            }
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
                term = alone<add>(*r++, term, sums);
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
            constexpr int some = W < 8 && N > 2 ? 2 : N;  // pairs that registers hold
            leaves<add, 0, some>(r + 1, last, f, sums);
            if constexpr (some < N) leaves<true, some, N>(r + 1, last, f, sums);
            sums += 3 * r->leaves;
            r = last;
        }
    }

  private:
    void make_rests(const Chunk& chunk, int n) {
        const Rest* rest = program_.rests.data() + chunk.first_rest;
        const Rest* const end = program_.rests.data() + chunk.end_rest;
        V* to = rests_ + 4 * n;
        for (; rest < end && rest->l == 0; rest++, to += 4 * N) to[3] = S::set(kept_[n][rest->kept]);
        const V u[3] = {unit_[n][0], unit_[n][1], unit_[n][2]};
        for (; rest < end && rest->l == 1; rest++, to += 4 * N) {
            const double* w = kept_[n] + rest->kept;  // t is the same for all neighbours
            const V t[3] = {S::set(w[0]), S::set(w[1]), S::set(w[2])};
            write(t, u, to);
        }
        make<2>(n, rest, end, u, to);
        make<3>(n, rest, end, u, to);
        make<4>(n, rest, end, u, to);
        for (; rest < end; rest++, to += 4 * N) {
            const double* w = kept_[n] + rest->kept;
            const V* y = harmonics_ + (rest->l - 1) * (rest->l - 1) * N + n;
            V t[3] = {};
            for (int m = 0; m < 2 * rest->l - 1; m++, w += 3)
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) t[d] += w[d] * y[m * N];
            write(t, u, to);
        }
    }

    // All rests of one l that come next; the harmonics stay in registers.
    template <int l>
    ACE_INLINE void make(int n, const Rest*& rest, const Rest* end, const V* u, V*& to) const {
        if (rest == end || rest->l != l) return;
        constexpr int count = 2 * l - 1;
        V y[count];
#pragma GCC unroll 8
        for (int m = 0; m < count; m++) y[m] = harmonics_[((l - 1) * (l - 1) + m) * N + n];
        for (; rest < end && rest->l == l; rest++, to += 4 * N) {
            const double* w = kept_[n] + rest->kept;
            V t[3] = {};
#pragma GCC unroll 8
            for (int m = 0; m < count; m++)
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) t[d] += w[3 * m + d] * y[m];
            write(t, u, to);
        }
    }

    static ACE_INLINE void write(const V* t, const V* u, V* to) {
#pragma GCC unroll 3
        for (int d = 0; d < 3; d++) to[d] = t[d];
        to[3] = u[0] * t[0] + u[1] * t[1] + u[2] * t[2];
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

    // A function that no other is taken from.
    template <bool add>
    ACE_INLINE const ace::rows::Term* alone(const Result& r, const ace::rows::Term* term,
                                            V* sums) const {
        V sum[chains][3] = {};
        start<add>(sums, sum[0]);
        term = derivative<chains>(r, term, sum);
        finish(sum, sums);
        return term;
    }

    // One chain of sums for each of `chains` pairs, so that not all wait for each other.
    static constexpr int chains = N > 1 ? 2 : 1;
    static ACE_INLINE void finish(V (*sum)[3], V* to) {
        if (chains > 1)
            for (int d = 0; d < 3; d++) sum[0][d] += sum[chains - 1][d];
        finish(sum[0], to);
    }

    template <int M>
    ACE_INLINE void add_term(const ace::rows::Term& term, V (&to)[M][3], V* s) const {
        const V* rest = rests_ + size_t(4 * N) * term.rest;
        const V* value = channels_ + size_t(N) * term.channel;
        const V* slope = slopes_ + size_t(N) * term.slope;
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            const V v = value[n];
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) to[n % M][d] += v * rest[4 * n + d];
            s[n] += slope[n] * rest[4 * n + 3];
        }
    }

    ACE_INLINE void add_radial(const ace::rows::Term& term, V* s) const {
        const V* rest = rests_ + size_t(4 * N) * term.rest;
        const V* slope = slopes_ + size_t(N) * term.slope;
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) s[n] += slope[n] * rest[4 * n + 3];
    }

    template <int M>
    ACE_INLINE void along(const V* s, V (&to)[M][3]) const {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++)
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) to[n % M][d] += s[n] * unit_[n][d];
    }

    // Functions whose parent f was the last that is no leaf itself, of the pairs begin ... end.
    template <bool add, int begin, int end>
    ACE_INLINE void leaves(const Result* r, const Result* last, const V (*f)[3], V* sums) const {
        V parent[end - begin][3], u[end - begin][3];
#pragma GCC unroll 4
        for (int n = begin; n < end; n++)
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) {
                parent[n - begin][d] = f[n][d];
                u[n - begin][d] = unit_[n][d];
            }
        for (; r < last; r++, sums += 3) {
            V sum[3];
            start<add>(sums, sum);
#pragma GCC unroll 4
            for (int n = begin; n < end; n++) {
                const V w = S::set(kept_[n][r->kept]);
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) sum[d] += w * parent[n - begin][d];
            }
            if (r->slope >= 0) {
                const V* slope = slopes_ + size_t(N) * r->slope;
#pragma GCC unroll 4
                for (int n = begin; n < end; n++) {
                    const V s = kept_[n][r->kept + 1] * slope[n];
#pragma GCC unroll 3
                    for (int d = 0; d < 3; d++) sum[d] += s * u[n - begin][d];
                }
            }
            finish(sum, sums);
        }
    }

    // Adds the derivative of a function to `to`, of each pair or (M < N) of several.
    template <int M>
    ACE_INLINE const ace::rows::Term* derivative(const Result& r, const ace::rows::Term* term,
                                                 V (&to)[M][3]) const {
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
        for (int k = 0; k < r.terms; k++) add_term(*term++, to, s);
        for (int k = 0; k < r.radial_terms; k++) add_radial(*term++, s);
        if (r.slope >= 0) {
            const V* slope = slopes_ + size_t(N) * r.slope;
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) s[n] += kept_[n][kept] * slope[n];
        }
        along(s, to);
        return term;
    }

    const Program& program_;
    const double* kept_[N];
    V unit_[N][3];
    V *harmonics_, *channels_, *slopes_, *rests_, *slots_;
};

}  // namespace ace::ACE_ISA::rows
