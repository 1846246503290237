// From the variables of a site plan to the values of sites and back, atoms across lanes: dot
// products, then sums.
#pragma once
#include "ace/plan.hpp"
#include "engine/dual.hpp"
#include "engine/form.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// The dot products of one run of K variables with others, K at most 3 so that all stay in registers.
// put(dot, sum) takes the results.
template <int K, class X, class F>
ACE_INLINE void few_forward(const DotProduct* dot, const DotProduct* end, const X* x, F put) {
    X a[K];
#pragma GCC unroll 3
    for (int k = 0; k < K; k++) a[k] = x[dot->left + k];
    for (; dot < end; dot++) {
        const X* b = x + dot->right;
        X sum = a[0] * b[0];
#pragma GCC unroll 3
        for (int k = 1; k < K; k++) sum += a[k] * b[k];
        put(dot, sum);
    }
}

// K of the products of every dot product, from the `first` on. adjoint(dot) is that of the sum.
template <int K, class V, class F>
ACE_INLINE void few_backward(const DotProduct* dot, const DotProduct* end, int first, const V* x,
                             V* w, F adjoint) {
    V a[K], sum[K] = {}, more[K] = {};
    V* to = w + dot->left + first;
#pragma GCC unroll 3
    for (int k = 0; k < K; k++) a[k] = x[dot->left + first + k];
    const auto one = [&](const DotProduct* of, V* into) ACE_LAMBDA {
        const V g = adjoint(of);
        const V* b = x + of->right + first;
        V* wb = w + of->right + first;
#pragma GCC unroll 3
        for (int k = 0; k < K; k++) {
            into[k] += g * b[k];
            wb[k] += g * a[k];
        }
    };
    for (; dot + 1 < end; dot += 2) {
        one(dot, sum);
        one(dot + 1, more);
    }
    if (dot < end) one(dot, sum);
#pragma GCC unroll 3
    for (int k = 0; k < K; k++) to[k] += sum[k] + more[k];
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

template <class X, class F>
ACE_INLINE void dots_forward(const std::vector<DotProduct>& dots, const X* x, F put) {
    each_left(dots, [&](const DotProduct* at, const DotProduct* end) ACE_LAMBDA {
        if (at->width == 1) return few_forward<1>(at, end, x, put);
        if (at->width == 3) return few_forward<3>(at, end, x, put);
        for (; at < end; at++) {
            const X *a = x + at->left, *b = x + at->right;
            X sum = a[0] * b[0], more = a[1] * b[1];
            for (int k = 2; k + 1 < at->width; k += 2) {
                sum += a[k] * b[k];
                more += a[k + 1] * b[k + 1];
            }
            sum += more + a[at->width - 1] * b[at->width - 1];
            put(at, sum);
        }
    });
}

template <class V, class F>
ACE_INLINE void dots_backward(const std::vector<DotProduct>& dots, const V* x, V* w, F adjoint) {
    each_left(dots, [&](const DotProduct* at, const DotProduct* end) ACE_LAMBDA {
        each_part(at->width, [&](int first, auto K) ACE_LAMBDA {
            few_backward<K()>(at, end, first, x, w, adjoint);
        });
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

// All values of the sites, or derivatives of the values. c: of the sums; of_values: of those that
// are dot products.
template <class T, class X, class V = typename Simd<T>::V>
void values_forward(const SitePlan& site, const T* c, const T* of_values, X* x, V* y) {
    dots_forward(site.dots, x, [&](const DotProduct* dot, const X& sum) ACE_LAMBDA {
        x[dot->out] = sum;
    });
    const DotProduct* first = site.values.data();
    dots_forward(site.values, x, [&](const DotProduct* dot, const X& sum) ACE_LAMBDA {
        y[dot->out] = summand(sum) * of_values[dot - first];
    });
    each_sum(site, c,
             [&](const SumBlock& b, const int* rows, const int* columns, const T* cs, auto R)
                 ACE_LAMBDA { sum_rows<T, R()>(b, rows, columns, cs, x, y); },
             [&](int row, int column, T one) ACE_LAMBDA { y[row] = summand(x[column]) * one; });
}

// Adds to the adjoints w of the variables what the adjoints y of the values mean for them.
template <class T, class V = typename Simd<T>::V>
void values_backward(const SitePlan& site, const T* c, const T* of_values, const V* x, const V* y,
                     V* w) {
    each_sum(site, c,
             [&](const SumBlock& b, const int* rows, const int* columns, const T* cs, auto R)
                 ACE_LAMBDA { pull_rows<T, R()>(b, rows, columns, cs, y, w); },
             [&](int row, int column, T one) ACE_LAMBDA { w[column] += y[row] * one; });
    const DotProduct* first = site.values.data();
    dots_backward(site.values, x, w, [&](const DotProduct* dot) ACE_LAMBDA {
        return y[dot->out] * of_values[dot - first];
    });
    dots_backward(site.dots, x, w, [&](const DotProduct* dot) ACE_LAMBDA { return w[dot->out]; });
}

}  // namespace ace::ACE_ISA
