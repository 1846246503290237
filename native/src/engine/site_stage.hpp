// From the variables of a site plan to the values of sites and back, atoms across lanes: dot
// products, then sums.
#pragma once
#include "ace/plan.hpp"
#include "engine/dual.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// The dot products of one run of K variables with others, K at most 3 so that all stay in registers.
template <int K, class V>
ACE_INLINE void few_forward(const DotProduct* dot, const DotProduct* end, V* x) {
    V a[K];
#pragma GCC unroll 3
    for (int k = 0; k < K; k++) a[k] = x[dot->left + k];
    for (; dot < end; dot++) {
        const V* b = x + dot->right;
        V sum = a[0] * b[0];
#pragma GCC unroll 3
        for (int k = 1; k < K; k++) sum += a[k] * b[k];
        x[dot->out] = sum;
    }
}

template <int K, class V>
ACE_INLINE void few_backward(const DotProduct* dot, const DotProduct* end, const V* x, V* w) {
    V a[K], sum[K] = {};
    V* to = w + dot->left;
#pragma GCC unroll 3
    for (int k = 0; k < K; k++) a[k] = x[dot->left + k];
    for (; dot < end; dot++) {
        const V g = w[dot->out];
        const V* b = x + dot->right;
        V* wb = w + dot->right;
#pragma GCC unroll 3
        for (int k = 0; k < K; k++) {
            sum[k] += g * b[k];
            wb[k] += g * a[k];
        }
    }
#pragma GCC unroll 3
    for (int k = 0; k < K; k++) to[k] += sum[k];
}

// Calls f(first, end) for the dot products of every run of variables.
template <class F>
ACE_INLINE void each_left(const std::vector<DotProduct>& dots, F f) {
    const DotProduct *at = dots.data(), *last = at + dots.size();
    while (at < last) {
        const DotProduct* end = at + 1;
        while (end < last && end->left == at->left && end->width == at->width) end++;
        f(at, end);
        at = end;
    }
}

template <class V>
void dots_forward(const std::vector<DotProduct>& dots, V* x) {
    each_left(dots, [&](const DotProduct* at, const DotProduct* end) ACE_LAMBDA {
        if (at->width == 1) return few_forward<1>(at, end, x);
        if (at->width == 3) return few_forward<3>(at, end, x);
        for (; at < end; at++) {
            const V *a = x + at->left, *b = x + at->right;
            V sum = a[0] * b[0], more = a[1] * b[1];
            for (int k = 2; k + 1 < at->width; k += 2) {
                sum += a[k] * b[k];
                more += a[k + 1] * b[k + 1];
            }
            x[at->out] = sum + more + a[at->width - 1] * b[at->width - 1];
        }
    });
}

template <class V>
void dots_backward(const std::vector<DotProduct>& dots, const V* x, V* w) {
    each_left(dots, [&](const DotProduct* at, const DotProduct* end) ACE_LAMBDA {
        if (at->width == 1) return few_backward<1>(at, end, x, w);
        if (at->width == 3) return few_backward<3>(at, end, x, w);
        for (; at < end; at++) {
            const V g = w[at->out];
            const V *a = x + at->left, *b = x + at->right;
            V *wa = w + at->left, *wb = w + at->right;
            for (int k = 0; k < at->width; k++) {
                wa[k] += g * b[k];
                wb[k] += g * a[k];
            }
        }
    });
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

// Calls f(block, its rows, columns and coefficients, number of rows), or for the many that are one
// number one(row, column, coefficient).
template <class T, class F, class G>
ACE_INLINE void each_sum(const SitePlan& site, const T* coefficients, F f, G one) {
    static_assert(most_summed == 8);
    for (const SumBlock& b : site.sums) {
        const int *rows = site.rows.data() + b.row, *columns = site.columns.data() + b.column;
        const T* c = coefficients + b.coefficient;
        if (b.rows == 1 && b.columns == 1) {
            one(*rows, *columns, *c);
            continue;
        }
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
                 ACE_LAMBDA { sum_rows<T, R()>(b, rows, columns, c, x, y); },
             [&](int row, int column, T c) ACE_LAMBDA { y[row] = summand(x[column]) * c; });
}

// Adds to the adjoints w of the variables what the adjoints y of the values mean for them.
template <class T, class V = typename Simd<T>::V>
void sums_backward(const SitePlan& site, const T* coefficients, const V* y, V* w) {
    each_sum(site, coefficients,
             [&](const SumBlock& b, const int* rows, const int* columns, const T* c, auto R)
                 ACE_LAMBDA { pull_rows<T, R()>(b, rows, columns, c, y, w); },
             [&](int row, int column, T c) ACE_LAMBDA { w[column] += y[row] * c; });
}

}  // namespace ace::ACE_ISA
