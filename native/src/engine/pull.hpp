// Adjoints of the A's times radial functions, as tiles of components of one l whose sums stay in
// registers.
#pragma once
#include "ace/plan.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// Plan::pulls and Plan::pull_first.
struct Pulls {
    const Pull* tiles;
    const int* first;
};

// sums[component][R, R'][vector] = sum over n of a R and of a R', for tiles of K components and M
// vectors of neighbours, `step` columns apart. A function of its own: inlined where registers are
// scarce already, its sums would not stay in them.
template <class T, int K, int M>
__attribute__((noinline)) const T* pull_tiles(const typename Simd<T>::V* __restrict r,
                                              const typename Simd<T>::V* __restrict d, int step,
                                              const Pull* tile, const Pull* end,
                                              const T* __restrict a,
                                              typename Simd<T>::V* __restrict sums) {
    using V = typename Simd<T>::V;
    for (; tile < end; tile++) {
        V p[K][M] = {}, t[K][M] = {};
        for (;; tile++) {
            const V *rn = r + tile->column, *dn = d + tile->column;
            for (int n = 0; n < tile->count; n++, a += K) {
                V rv[M], dv[M];
#pragma GCC unroll 4
                for (int u = 0; u < M; u++) {
                    rv[u] = rn[u * step + n];
                    dv[u] = dn[u * step + n];
                }
#pragma GCC unroll 8
                for (int k = 0; k < K; k++) {
                    const V b = V{} + a[k];
#pragma GCC unroll 4
                    for (int u = 0; u < M; u++) {
                        p[k][u] += b * rv[u];
                        t[k][u] += b * dv[u];
                    }
                }
            }
            if (tile->last) break;
        }
        V* out = sums + 2 * M * tile->place;
#pragma GCC unroll 8
        for (int k = 0; k < K; k++)
#pragma GCC unroll 4
            for (int u = 0; u < M; u++) {
                out[2 * k * M + u] = p[k][u];
                out[(2 * k + 1) * M + u] = t[k][u];
            }
    }
    return a;
}

// All tiles, the widest first.
template <class T, int K, int M>
ACE_INLINE void pull_sums(const typename Simd<T>::V* __restrict r,
                          const typename Simd<T>::V* __restrict d, int step, Pulls pulls,
                          const T* __restrict a, typename Simd<T>::V* __restrict sums) {
    a = pull_tiles<T, K, M>(r, d, step, pulls.tiles + pulls.first[K],
                            pulls.tiles + pulls.first[K - 1], a, sums);
    if constexpr (K > 1) pull_sums<T, K - 1, M>(r, d, step, pulls, a, sums);
}

}  // namespace ace::ACE_ISA
