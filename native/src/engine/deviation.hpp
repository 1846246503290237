// Deviations of sums whose coefficients are random numbers, and their derivatives.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ace/evaluator.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

ACE_INLINE double dot(const double* a, const double* b, int count) {
    using S = Simd<double>;
    S::V sums[4] = {};
    int k = 0;
    for (; k + 4 * S::W <= count; k += 4 * S::W)
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++)
            sums[q] += S::load(a + k + q * S::W) * S::load(b + k + q * S::W);
    double sum = S::total((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; k < count; k++) sum += a[k] * b[k];
    return sum;
}

ACE_INLINE void add_multiple(double factor, const double* from, int count, double* to) {
    using S = Simd<double>;
    int k = 0;
    for (; k + S::W <= count; k += S::W)
        S::store(to + k, S::load(to + k) + factor * S::load(from + k));
    for (; k < count; k++) to[k] += factor * from[k];
}

// G is read once for all b; none depends on the others.
inline void deviations_of(const Factor& g, const double* b, int count, double* sigma,
                          double* slopes) {
    const size_t columns = g.columns;
    std::fill_n(slopes, count * columns, 0.0);
    std::fill_n(sigma, count, 0.0);
    const double* row = g.rows;
    for (int r = 0; r < g.height; r++) {
        const int first = g.triangular ? r : 0, width = g.columns - first;
        for (int k = 0; k < count; k++) {  // while the row is near
            const size_t at = k * columns + first;
            const double seen = dot(row, b + at, width);
            sigma[k] += seen * seen;
            add_multiple(seen, row, width, slopes + at);
        }
        row += width;
    }
    for (int k = 0; k < count; k++) {
        sigma[k] = std::sqrt(sigma[k]);
        const double inverse = sigma[k] > 0 ? 1 / sigma[k] : 0.0;
        for (size_t c = 0; c < columns; c++) slopes[k * columns + c] *= inverse;
    }
}

}  // namespace ace::ACE_ISA
