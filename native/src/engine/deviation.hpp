// Deviations of sums whose coefficients are random numbers, and their derivatives.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "ace/evaluator.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// Rows of a matrix that are read together: each number of b, and of the slopes, is then read once
// for all of them.
constexpr int rows_together = 4;

// R rows, of which the first is r: what they see of b, and what that means for the slopes. Of a
// triangle every row is one number shorter than the last; those before the shortest come one by one.
template <int R>
ACE_INLINE double see_rows(const Factor& g, const double* const* rows, int r,
                           const double* __restrict b, double* __restrict slopes) {
    using S = Simd<double>;
    const int shared = g.triangular ? r + R - 1 : 0;  // the first column of all
    const double* at[R];
    double seen[R] = {};
    for (int q = 0; q < R; q++) {
        const int first = g.triangular ? r + q : 0;
        for (int c = first; c < shared; c++) seen[q] += rows[q][c - first] * b[c];
        at[q] = rows[q] - first;
    }
    S::V sums[R] = {};
    int c = shared;
    for (; c + S::W <= g.columns; c += S::W) {
        const S::V here = S::load(b + c);
#pragma GCC unroll 4
        for (int q = 0; q < R; q++) sums[q] += S::load(at[q] + c) * here;
    }
    const int end = c;
    double square = 0;
    for (int q = 0; q < R; q++) {
        seen[q] += S::total(sums[q]);
        for (int k = end; k < g.columns; k++) seen[q] += at[q][k] * b[k];
        square += seen[q] * seen[q];
    }
    for (int q = 0; q < R; q++) {
        for (int k = g.triangular ? r + q : 0; k < shared; k++) slopes[k] += seen[q] * at[q][k];
        for (int k = end; k < g.columns; k++) slopes[k] += seen[q] * at[q][k];
    }
    for (c = shared; c < end; c += S::W) {
        S::V sum = S::load(slopes + c);
#pragma GCC unroll 4
        for (int q = 0; q < R; q++) sum += S::set(seen[q]) * S::load(at[q] + c);
        S::store(slopes + c, sum);
    }
    return square;
}

// G is read once for all b; none depends on the others.
inline void deviations_of(const Factor& g, const double* b, int count, double* sigma,
                          double* slopes) {
    const size_t columns = g.columns;
    std::fill_n(slopes, count * columns, 0.0);
    std::fill_n(sigma, count, 0.0);
    const double* row = g.rows;
    for (int r = 0; r < g.height;) {
        const int some = g.height - r < rows_together ? 1 : rows_together;
        const double* rows[rows_together];
        for (int q = 0; q < some; q++) {
            rows[q] = row;
            row += g.triangular ? g.columns - r - q : g.columns;
        }
        for (int k = 0; k < count; k++) {  // while the rows are near
            const double* of = b + k * columns;
            double* to = slopes + k * columns;
            sigma[k] += some == 1 ? see_rows<1>(g, rows, r, of, to)
                                  : see_rows<rows_together>(g, rows, r, of, to);
        }
        r += some;
    }
    for (int k = 0; k < count; k++) {
        sigma[k] = std::sqrt(sigma[k]);
        const double inverse = sigma[k] > 0 ? 1 / sigma[k] : 0.0;
        for (size_t c = 0; c < columns; c++) slopes[k * columns + c] *= inverse;
    }
}

}  // namespace ace::ACE_ISA
