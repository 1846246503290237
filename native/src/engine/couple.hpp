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

// M = 0 of N couplings; returns the coefficients of M = 1.
template <class T, int N, class V = typename Simd<T>::V>
const T* couple_zero(const Coupling& p, const Coupled* to, const T* c, const V* a, const V* b,
                     V* x) {
    V sum[N];
    const V first = p.odd ? V{} : a[0] * b[0];
#pragma GCC unroll 4
    for (int k = 0; k < N; k++) sum[k] = first * *c++;
    for (int m = 1; m <= std::min(p.la, p.lb); m++) {
        const V ar = a[2 * m - 1], ai = a[2 * m], br = b[2 * m - 1], bi = b[2 * m];
        const V both = p.odd ? ar * bi - ai * br : ar * br + ai * bi;
#pragma GCC unroll 4
        for (int k = 0; k < N; k++) sum[k] += both * *c++;
    }
    for (int k = 0; k < N; k++) x[to[k].place] = sum[k];
    return c;
}

template <class T, int N, class V = typename Simd<T>::V>
const T* couple_some(const Coupling& p, const Coupled* to, int M, const T* c, const V* a,
                     const V* b, V* x) {
    if (M == 0) return couple_zero<T, N>(p, to, c, a, b, x);
    V re[N] = {}, im[N] = {};
    pairs_of(p, M, [&](int i, int j, auto kind) ACE_LAMBDA {
        V qr, qi;
        if constexpr (kind() == Pairing::first_real) {
            qr = a[i] * b[j];
            qi = a[i] * b[j + 1];
        } else if constexpr (kind() == Pairing::second_real) {
            qr = a[i] * b[j];
            qi = a[i + 1] * b[j];
        } else {
            const V ar = a[i], ai = a[i + 1], br = b[j], bi = b[j + 1];
            if constexpr (kind() == Pairing::plain) {
                qr = ar * br - ai * bi;
                qi = ar * bi + ai * br;
            } else {
                qr = ar * br + ai * bi;
                qi = kind() == Pairing::second_turned ? ai * br - ar * bi : ar * bi - ai * br;
            }
        }
#pragma GCC unroll 4
        for (int k = 0; k < N; k++) {
            const V w = Simd<T>::set(*c++);
            re[k] += w * qr;
            im[k] += w * qi;
        }
    });
    for (int k = 0; k < N; k++) {
        V* out = x + to[k].place + 2 * M - 1;
        out[0] = p.odd ? -im[k] : re[k];
        out[1] = p.odd ? re[k] : im[k];
    }
    return c;
}

template <class T, int N, class V = typename Simd<T>::V>
const T* uncouple_zero(const Coupling& p, const Coupled* to, const T* c, const V* a, const V* b,
                       V* wa, V* wb, const V* w) {
    V g[N];
    for (int k = 0; k < N; k++) g[k] = w[to[k].place];
    const auto pull = [&]() ACE_LAMBDA {
        V sum = V{};
#pragma GCC unroll 4
        for (int k = 0; k < N; k++) sum += g[k] * *c++;
        return sum;
    };
    const V first = p.odd ? pull() * T(0) : pull();
    wa[0] += first * b[0];
    wb[0] += first * a[0];
    for (int m = 1; m <= std::min(p.la, p.lb); m++) {
        const V s = pull();
        const V ar = a[2 * m - 1], ai = a[2 * m], br = b[2 * m - 1], bi = b[2 * m];
        wa[2 * m - 1] += s * (p.odd ? bi : br);
        wa[2 * m] += s * (p.odd ? -br : bi);
        wb[2 * m - 1] += s * (p.odd ? -ai : ar);
        wb[2 * m] += s * (p.odd ? ar : ai);
    }
    return c;
}

template <class T, int N, class V = typename Simd<T>::V>
const T* uncouple_some(const Coupling& p, const Coupled* to, int M, const T* c, const V* a,
                       const V* b, V* wa, V* wb, const V* w) {
    if (M == 0) return uncouple_zero<T, N>(p, to, c, a, b, wa, wb, w);
    V gr[N], gi[N];
    for (int k = 0; k < N; k++) {
        const V* out = w + to[k].place + 2 * M - 1;
        gr[k] = p.odd ? out[1] : out[0];
        gi[k] = p.odd ? -out[0] : out[1];
    }
    pairs_of(p, M, [&](int i, int j, auto kind) ACE_LAMBDA {
        V s = V{}, t = V{};
#pragma GCC unroll 4
        for (int k = 0; k < N; k++) {
            const V q = Simd<T>::set(*c++);
            s += q * gr[k];
            t += q * gi[k];
        }
        if constexpr (kind() == Pairing::first_real) {
            wa[i] += s * b[j] + t * b[j + 1];
            wb[j] += s * a[i];
            wb[j + 1] += t * a[i];
        } else if constexpr (kind() == Pairing::second_real) {
            wb[j] += s * a[i] + t * a[i + 1];
            wa[i] += s * b[j];
            wa[i + 1] += t * b[j];
        } else {
            // With one factor conjugated its imaginary part has the other sign.
            constexpr T u = kind() == Pairing::first_turned ? -1 : 1;
            constexpr T v = kind() == Pairing::second_turned ? -1 : 1;
            const V ar = a[i], ai = a[i + 1] * u, br = b[j], bi = b[j + 1] * v;
            wa[i] += s * br + t * bi;
            wa[i + 1] += (t * br - s * bi) * u;
            wb[j] += s * ar + t * ai;
            wb[j + 1] += (t * ar - s * ai) * v;
        }
    });
    return c;
}

// Calls f(N, coupling, its L and places, M, coefficients), N being how many of the L reach M.
template <class T, class F>
ACE_INLINE void each_coupling(const Plan& plan, const T* coefficients, F f) {
    static_assert(most_coupled == 4);
    for (const Coupling& p : plan.couplings) {
        const Coupled* to = plan.coupled.data() + p.first;
        const T* c = coefficients + p.coefficient;
        for (int M = 0, n = p.count; M <= to[0].l; M++) {
            while (to[n - 1].l < M) n--;
            switch (n) {
                case 1: c = f(std::integral_constant<int, 1>(), p, to, M, c); break;
                case 2: c = f(std::integral_constant<int, 2>(), p, to, M, c); break;
                case 3: c = f(std::integral_constant<int, 3>(), p, to, M, c); break;
                default: c = f(std::integral_constant<int, 4>(), p, to, M, c); break;
            }
        }
    }
}

template <class T, class V = typename Simd<T>::V>
void couple(const Plan& plan, const T* coefficients, V* x) {
    each_coupling(plan, coefficients,
                  [&](auto n, const Coupling& p, const Coupled* to, int M, const T* c) {
                      return couple_some<T, n()>(p, to, M, c, x + p.a, x + p.b, x);
                  });
}

template <class T, class V = typename Simd<T>::V>
void uncouple(const Plan& plan, const T* coefficients, const V* x, V* w) {
    each_coupling(plan, coefficients,
                  [&](auto n, const Coupling& p, const Coupled* to, int M, const T* c) {
                      return uncouple_some<T, n()>(p, to, M, c, x + p.a, x + p.b, w + p.a,
                                                   w + p.b, w);
                  });
}

}  // namespace ace::ACE_ISA
