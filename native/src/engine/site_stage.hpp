// From the variables of a site plan to the values of sites and back, atoms across lanes: dot
// products, then sums.
#pragma once
#include "ace/plan.hpp"
#include "engine/dual.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

template <class V>
void dots_forward(const std::vector<DotProduct>& dots, V* x) {
    for (const DotProduct& dot : dots) {
        const V *a = x + dot.left, *b = x + dot.right;
        V sum = a[0] * b[0];
        for (int k = 1; k < dot.width; k++) sum += a[k] * b[k];
        x[dot.out] = sum;
    }
}

template <class V>
void dots_backward(const std::vector<DotProduct>& dots, const V* x, V* w) {
    for (const DotProduct& dot : dots) {
        const V g = w[dot.out];
        const V *a = x + dot.left, *b = x + dot.right;
        V *wa = w + dot.left, *wb = w + dot.right;
        for (int k = 0; k < dot.width; k++) {
            wa[k] += g * b[k];
            wb[k] += g * a[k];
        }
    }
}

// What is summed up of a variable: itself, or its derivative.
template <class V>
ACE_INLINE V summand(const V& x) {
    return x;
}
template <class T>
ACE_INLINE typename Simd<T>::V summand(const Dual<T>& x) {
    return x.slope;
}

template <class T, int R, class X, class V = typename Simd<T>::V>
ACE_INLINE void sum_rows(const SumBlock& b, const int* rows, const int* columns,
                         const T* __restrict c, const X* __restrict x, V* __restrict y) {
    V sum[R] = {};
    for (int e = 0; e < b.columns; e++, c += R) {
        const V at = summand(x[columns[e]]);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) sum[r] += Simd<T>::set(c[r]) * at;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) y[rows[r]] = sum[r];
}

template <class T, int R, class V = typename Simd<T>::V>
ACE_INLINE void pull_rows(const SumBlock& b, const int* rows, const int* columns,
                          const T* __restrict c, const V* __restrict y, V* __restrict w) {
    V a[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) a[r] = y[rows[r]];
    for (int e = 0; e < b.columns; e++, c += R) {
        V sum = w[columns[e]];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) sum += Simd<T>::set(c[r]) * a[r];
        w[columns[e]] = sum;
    }
}

// Calls f(block, its rows, columns and coefficients, number of rows).
template <class T, class F>
ACE_INLINE void each_sum(const SitePlan& site, const T* coefficients, F f) {
    static_assert(most_summed == 8);
    for (const SumBlock& b : site.sums) {
        const int *rows = site.rows.data() + b.row, *columns = site.columns.data() + b.column;
        const T* c = coefficients + b.coefficient;
        switch (b.rows) {
            case 1: f(b, rows, columns, c, std::integral_constant<int, 1>()); break;
            case 2: f(b, rows, columns, c, std::integral_constant<int, 2>()); break;
            case 3: f(b, rows, columns, c, std::integral_constant<int, 3>()); break;
            case 4: f(b, rows, columns, c, std::integral_constant<int, 4>()); break;
            case 5: f(b, rows, columns, c, std::integral_constant<int, 5>()); break;
            case 6: f(b, rows, columns, c, std::integral_constant<int, 6>()); break;
            case 7: f(b, rows, columns, c, std::integral_constant<int, 7>()); break;
            default: f(b, rows, columns, c, std::integral_constant<int, 8>());
        }
    }
}

// All values of the sites, or derivatives of the values.
template <class T, class X, class V = typename Simd<T>::V>
void sums_forward(const SitePlan& site, const T* coefficients, const X* x, V* y) {
    each_sum(site, coefficients,
             [&](const SumBlock& b, const int* rows, const int* columns, const T* c, auto R)
                 ACE_LAMBDA { sum_rows<T, R()>(b, rows, columns, c, x, y); });
}

// Adds to the adjoints w of the variables what the adjoints y of the values mean for them.
template <class T, class V = typename Simd<T>::V>
void sums_backward(const SitePlan& site, const T* coefficients, const V* y, V* w) {
    each_sum(site, coefficients,
             [&](const SumBlock& b, const int* rows, const int* columns, const T* c, auto R)
                 ACE_LAMBDA { pull_rows<T, R()>(b, rows, columns, c, y, w); });
}

}  // namespace ace::ACE_ISA
