// Forces of a vector of neighbours subtracted from rows of four doubles.
#pragma once
#include <cstdint>
#include <utility>

#include "engine/simd.hpp"

namespace ace::ACE_ISA {

typedef double Row4 __attribute__((vector_size(32), aligned(8), may_alias));

template <int q, class V>
ACE_INLINE void scatter_row(double* forces, const int32_t* to, V xy, V z0) {
    constexpr int W = Simd<double>::W, at = q / 2 * 2;
    Row4& f = *reinterpret_cast<Row4*>(forces + 4 * static_cast<size_t>(to[q]));
    f -= __builtin_shufflevector(xy, z0, at, at + 1, W + at, W + at + 1);
}

template <size_t... q>
ACE_INLINE void scatter_rows(double* forces, const int32_t* to, Simd<double>::V x,
                             Simd<double>::V y, Simd<double>::V z, std::index_sequence<q...>) {
    using S = Simd<double>;
    const S::V none = {};
    const S::V xy[2] = {S::low(x, y, S::lanes()), S::high(x, y, S::lanes())};
    const S::V z0[2] = {S::low(z, none, S::lanes()), S::high(z, none, S::lanes())};
    (scatter_row<int(q)>(forces, to, xy[q % 2], z0[q % 2]), ...);
}

ACE_INLINE void scatter(double* forces, const int32_t* to, Simd<double>::V x, Simd<double>::V y,
                        Simd<double>::V z) {
    scatter_rows(forces, to, x, y, z, Simd<double>::lanes());
}

ACE_INLINE void scatter(double* forces, const int32_t* to, Simd<float>::V x, Simd<float>::V y,
                        Simd<float>::V z) {
    const auto lanes = Simd<double>::lanes();
    for (int half = 0; half < 2; half++)
        scatter(forces, to + half * Simd<double>::W, widened(x, half, lanes),
                widened(y, half, lanes), widened(z, half, lanes));
}

}  // namespace ace::ACE_ISA
