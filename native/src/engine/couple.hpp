// Pairs of shells coupled to L (Coupling in plan.hpp), atoms across lanes.
#pragma once
#include <algorithm>
#include <type_traits>

#include "ace/plan.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// With a_m = (a[2m - 1] + i a[2m])/sqrt 2 for m > 0, a_0 = a[0] and a_{-m} = (-1)^m conj a_m, the
// products that add to M are a_0 b_M, a_M b_0, a_m b_{M-m}, a_{M+m} conj b_m and
// conj a_m b_{M+m}. `visit` is handed the first component of each factor and which of them it is,
// in the order of the coefficients.
enum class Pairing { first_real, second_real, plain, second_turned, first_turned };

template <class F>
ACE_INLINE void pairs_of(const Coupling& p, int M, F visit) {
    if (M <= p.lb) visit(0, 2 * M - 1, std::integral_constant<Pairing, Pairing::first_real>());
    if (M <= p.la && !p.same)
        visit(2 * M - 1, 0, std::integral_constant<Pairing, Pairing::second_real>());
    const int last = p.same ? M / 2 : std::min(M - 1, p.la);
    for (int m = std::max(1, M - p.lb); m <= last; m++)
        visit(2 * m - 1, 2 * (M - m) - 1, std::integral_constant<Pairing, Pairing::plain>());
    for (int m = M + 1; m <= std::min(p.la, p.lb + M); m++)
        visit(2 * m - 1, 2 * (m - M) - 1,
              std::integral_constant<Pairing, Pairing::second_turned>());
    if (p.same) return;
    for (int m = M + 1; m <= std::min(p.lb, p.la + M); m++)
        visit(2 * (m - M) - 1, 2 * m - 1, std::integral_constant<Pairing, Pairing::first_turned>());
}

// Couplings of one kind that are done at once: what to multiply is found out once, and while one
// waits for its sums there are others. As many as their sums leave registers for.
template <class V>
constexpr int coupled_together = sizeof(V) > BYTES ? 2 : 4;

// The first components of the shells of G couplings, in x or in the adjoints.
template <class V, int G>
struct Shells {
    V *a[G], *b[G];
    ACE_INLINE Shells(const Coupling* p, V* x) {
        for (int g = 0; g < G; g++) {
            a[g] = x + p[g].a;
            b[g] = x + p[g].b;
        }
    }
};

// M = 0 of N couplings of each of G pairs of shells; returns the coefficients of M = 1.
template <class T, int N, int G, class V>
const T* couple_zero(const Coupling* p, const Coupled* coupled, const T* c, V* x) {
    const Shells<V, G> in(p, x);
    const bool odd = p->odd;
    V sum[G][N];
#pragma GCC unroll 4
    for (int g = 0; g < G; g++) {
        const V first = odd ? V{} : in.a[g][0] * in.b[g][0];
#pragma GCC unroll 4
        for (int k = 0; k < N; k++) sum[g][k] = first * c[k];
    }
    c += N;
    for (int m = 1; m <= std::min(p->la, p->lb); m++, c += N)
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) {
            const V *a = in.a[g] + 2 * m - 1, *b = in.b[g] + 2 * m - 1;
            const V both = odd ? a[0] * b[1] - a[1] * b[0] : a[0] * b[0] + a[1] * b[1];
#pragma GCC unroll 4
            for (int k = 0; k < N; k++) sum[g][k] += both * c[k];
        }
#pragma GCC unroll 4
    for (int g = 0; g < G; g++)
        for (int k = 0; k < N; k++) x[coupled[p[g].first + k].place] = sum[g][k];
    return c;
}

template <class T, int N, int G, class V>
const T* couple_some(const Coupling* p, const Coupled* coupled, int M, const T* c, V* x) {
    if (M == 0) return couple_zero<T, N, G>(p, coupled, c, x);
    const Shells<V, G> in(p, x);
    V re[G][N] = {}, im[G][N] = {};
    pairs_of(*p, M, [&](int i, int j, auto kind) ACE_LAMBDA {
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) {
            const V *a = in.a[g] + i, *b = in.b[g] + j;
            V qr, qi;
            if constexpr (kind() == Pairing::first_real) {
                qr = a[0] * b[0];
                qi = a[0] * b[1];
            } else if constexpr (kind() == Pairing::second_real) {
                qr = a[0] * b[0];
                qi = a[1] * b[0];
            } else if constexpr (kind() == Pairing::plain) {
                qr = a[0] * b[0] - a[1] * b[1];
                qi = a[0] * b[1] + a[1] * b[0];
            } else {
                qr = a[0] * b[0] + a[1] * b[1];
                qi = kind() == Pairing::second_turned ? a[1] * b[0] - a[0] * b[1]
                                                      : a[0] * b[1] - a[1] * b[0];
            }
#pragma GCC unroll 4
            for (int k = 0; k < N; k++) {
                re[g][k] += qr * c[k];
                im[g][k] += qi * c[k];
            }
        }
        c += N;
    });
#pragma GCC unroll 4
    for (int g = 0; g < G; g++)
        for (int k = 0; k < N; k++) {
            V* out = x + coupled[p[g].first + k].place + 2 * M - 1;
            out[0] = p->odd ? -im[g][k] : re[g][k];
            out[1] = p->odd ? re[g][k] : im[g][k];
        }
    return c;
}

template <class T, int N, int G, class V>
const T* uncouple_zero(const Coupling* p, const Coupled* coupled, const T* c, const V* x, V* w) {
    const Shells<const V, G> in(p, x);
    const Shells<V, G> to(p, w);
    const bool odd = p->odd;
    V of[G][N];
#pragma GCC unroll 4
    for (int g = 0; g < G; g++)
        for (int k = 0; k < N; k++) of[g][k] = w[coupled[p[g].first + k].place];
    const auto pull = [&](int g) ACE_LAMBDA {
        V sum = of[g][0] * c[0];
#pragma GCC unroll 4
        for (int k = 1; k < N; k++) sum += of[g][k] * c[k];
        return sum;
    };
    if (!odd)
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) {
            const V first = pull(g);
            to.a[g][0] += first * in.b[g][0];
            to.b[g][0] += first * in.a[g][0];
        }
    c += N;
    for (int m = 1; m <= std::min(p->la, p->lb); m++, c += N)
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) {
            const V s = pull(g), *a = in.a[g] + 2 * m - 1, *b = in.b[g] + 2 * m - 1;
            const V ar = a[0], ai = a[1], br = b[0], bi = b[1];
            V *wa = to.a[g] + 2 * m - 1, *wb = to.b[g] + 2 * m - 1;
            wa[0] += s * (odd ? bi : br);
            wa[1] += s * (odd ? -br : bi);
            wb[0] += s * (odd ? -ai : ar);
            wb[1] += s * (odd ? ar : ai);
        }
    return c;
}

template <class T, int N, int G, class V>
const T* uncouple_some(const Coupling* p, const Coupled* coupled, int M, const T* c, const V* x,
                       V* w) {
    if (M == 0) return uncouple_zero<T, N, G>(p, coupled, c, x, w);
    const Shells<const V, G> in(p, x);
    const Shells<V, G> to(p, w);
    V gr[G][N], gi[G][N];
#pragma GCC unroll 4
    for (int g = 0; g < G; g++)
        for (int k = 0; k < N; k++) {
            const V* out = w + coupled[p[g].first + k].place + 2 * M - 1;
            gr[g][k] = p->odd ? out[1] : out[0];
            gi[g][k] = p->odd ? -out[0] : out[1];
        }
    pairs_of(*p, M, [&](int i, int j, auto kind) ACE_LAMBDA {
#pragma GCC unroll 4
        for (int g = 0; g < G; g++) {
            V s = gr[g][0] * c[0], t = gi[g][0] * c[0];
#pragma GCC unroll 4
            for (int k = 1; k < N; k++) {
                s += gr[g][k] * c[k];
                t += gi[g][k] * c[k];
            }
            const V *a = in.a[g] + i, *b = in.b[g] + j;
            V *wa = to.a[g] + i, *wb = to.b[g] + j;
            if constexpr (kind() == Pairing::first_real) {
                wa[0] += s * b[0] + t * b[1];
                wb[0] += s * a[0];
                wb[1] += t * a[0];
            } else if constexpr (kind() == Pairing::second_real) {
                wb[0] += s * a[0] + t * a[1];
                wa[0] += s * b[0];
                wa[1] += t * b[0];
            } else {
                // With one factor conjugated its imaginary part has the other sign.
                constexpr T u = kind() == Pairing::first_turned ? -1 : 1;
                constexpr T v = kind() == Pairing::second_turned ? -1 : 1;
                const V ar = a[0], ai = a[1] * u, br = b[0], bi = b[1] * v;
                wa[0] += s * br + t * bi;
                wa[1] += (t * br - s * bi) * u;
                wb[0] += s * ar + t * ai;
                wb[1] += (t * ar - s * ai) * v;
            }
        }
        c += N;
    });
    return c;
}

// Calls f(N, M, coefficients) for every M of couplings of one kind, N being how many of their L
// reach M; returns the coefficients of the next M.
template <int most, class T, class F>
ACE_INLINE void each_m(const Coupled* to, int count, const T* c, F f) {
    for (int M = 0, n = count; M <= to[0].l; M++) {
        while (to[n - 1].l < M) n--;
        if constexpr (most >= 4)
            if (n == 4) c = f(std::integral_constant<int, 4>(), M, c);
        if constexpr (most >= 3)
            if (n == 3) c = f(std::integral_constant<int, 3>(), M, c);
        if constexpr (most >= 2)
            if (n == 2) c = f(std::integral_constant<int, 2>(), M, c);
        if (n == 1) c = f(std::integral_constant<int, 1>(), M, c);
    }
}

// Calls f(N, G, first coupling, M, coefficients) for all couplings, G alike at a time.
template <class V, class T, class F>
ACE_INLINE void each_coupling(const Plan& plan, const T* coefficients, F f) {
    static_assert(most_coupled == 4);
    const Coupling *p = plan.couplings.data(), *last = p + plan.couplings.size();
    const auto some = [&](auto G) ACE_LAMBDA {
        each_m<most_coupled / G()>(plan.coupled.data() + p->first, p->count,
                                   coefficients + p->coefficient,
                                   [&](auto N, int M, const T* c) ACE_LAMBDA {
                                       return f(N, G, p, M, c);
                                   });
        p += G();
    };
    while (p < last) {  // those with the same coefficients are neighbours
        const auto alike = [&](int count) {
            return count * p->count <= coupled_together<V> && last - p >= count &&
                   p[count - 1].coefficient == p->coefficient;
        };
        if (coupled_together<V> == 4 && alike(4)) some(std::integral_constant<int, 4>());
        else if (alike(2)) some(std::integral_constant<int, 2>());
        else some(std::integral_constant<int, 1>());
    }
}

template <class T, class V = typename Simd<T>::V>
void couple(const Plan& plan, const T* coefficients, V* x) {
    each_coupling<V>(plan, coefficients, [&](auto N, auto G, const Coupling* p, int M, const T* c) {
        return couple_some<T, N(), G()>(p, plan.coupled.data(), M, c, x);
    });
}

template <class T, class V = typename Simd<T>::V>
void uncouple(const Plan& plan, const T* coefficients, const V* x, V* w) {
    each_coupling<V>(plan, coefficients, [&](auto N, auto G, const Coupling* p, int M, const T* c) {
        return uncouple_some<T, N(), G()>(p, plan.coupled.data(), M, c, x, w);
    });
}

}  // namespace ace::ACE_ISA
