// A = sum over neighbours of R Y, as tiles of radial functions and components whose sums stay in
// registers.
#pragma once
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// The neighbours of one species come in parts: sums of the parts before stand in `sums`.
struct Part {
    int count;         // vectors of neighbours
    bool first, last;
};

// sums[n][k] += sum over v of R[v][n] Y[v][k]; with the last part, the sums over the lanes too, in
// A. Writes up to W - 1 numbers beyond out[N * K]: tiles come in the order of their places, so that
// the next one, or what follows the last, overwrites them.
template <class T, class A, int N, int K>
void gather_tile(const typename Simd<T>::V* __restrict r, const typename Simd<T>::V* __restrict y,
                 Part part, int r_step, int y_step, typename Simd<T>::V* __restrict sums,
                 A* __restrict out) {
    using V = typename Simd<T>::V;
    constexpr int W = summed_together<T, A>, padded = (N * K + W - 1) / W * W;
    V a[padded];
#pragma GCC unroll 48
    for (int q = 0; q < padded; q++) a[q] = V{};
#pragma GCC unroll 2
    for (int v = 0; v < part.count; v++, r += r_step, y += y_step) {
        V rn[N];
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) rn[n] = r[n];
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
            const V yk = y[k];
#pragma GCC unroll 8
            for (int n = 0; n < N; n++) a[n * K + k] += rn[n] * yk;
        }
    }
    if (!part.first) {
#pragma GCC unroll 32
        for (int q = 0; q < N * K; q++) a[q] += sums[q];
    }
    if (part.last) {
#pragma GCC unroll 32
        for (int q = 0; q < padded; q += W) store_sums<T, A>(out + q, a + q);
    } else {
#pragma GCC unroll 32
        for (int q = 0; q < N * K; q++) sums[q] = a[q];
    }
}

template <class T, class A>
struct Tiles {
    using V = typename Simd<T>::V;
    void (*gather[tile_radials + 1][tile_components + 1])(const V*, const V*, Part, int, int, V*,
                                                          A*);
    Tiles() { fill<1, 1>(); }
    template <int N, int K>
    void fill() {
        gather[N][K] = gather_tile<T, A, N, K>;
        if constexpr (K < tile_components) fill<N, K + 1>();
        else if constexpr (N < tile_radials) fill<N + 1, 1>();
    }
};

}  // namespace ace::ACE_ISA
