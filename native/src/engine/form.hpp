// The product stage, atoms across lanes: interior nodes, then the bilinear form of plan.hpp.
#pragma once
#include <type_traits>

#include "ace/plan.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// Calls f(first, N) for the parts of a shell, N of at most three variables.
template <class F>
ACE_INLINE void each_part(int width, F f) {
    int first = 0;
    for (; width - first > 4 || width - first == 3; first += 3)
        f(first, std::integral_constant<int, 3>());
    for (; width - first > 1; first += 2) f(first, std::integral_constant<int, 2>());
    if (first < width) f(first, std::integral_constant<int, 1>());
}

// Rows of a block whose sums for P densities and K variables are kept in registers.
constexpr int rows_at_once(int rows, int P, int K) {
    while (rows > 1 && rows * P * K > most_sums) rows /= 2;
    return rows;
}

// Some rows and variables of a block forward: u = C x_column (if kept), rho += x_row u.
template <class T, int rows, int P, int K, bool kept, class V = typename Simd<T>::V>
ACE_INLINE void part_forward(const Plan& plan, const Block& b, int r0, int k0,
                             const T* __restrict c, const V* __restrict x, V* __restrict u,
                             V* __restrict rho) {
    constexpr int R = rows_at_once(rows, P, K);
    V sum[R][P][K] = {};
    const int* columns = plan.column_places.data() + b.column;
    c += r0 * P;
    for (int e = 0; e < b.columns; e++, c += rows * P) {
        const V* column = x + columns[e] + k0;
        V at[K];
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) at[k] = column[k];
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int p = 0; p < P; p++) {
                const V w = Simd<T>::set(c[r * P + p]);
#pragma GCC unroll 4
                for (int k = 0; k < K; k++) sum[r][p][k] += w * at[k];
            }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const V* row = x + plan.row_places[b.row + r0 + r] + k0;
#pragma GCC unroll 4
        for (int p = 0; p < P; p++)
#pragma GCC unroll 4
            for (int k = 0; k < K; k++) {
                rho[p] += row[k] * sum[r][p][k];
                if constexpr (kept) u[((r0 + r) * P + p) * b.width + k0 + k] = sum[r][p][k];
            }
    }
}

template <class T, int R, int P, bool kept, class V = typename Simd<T>::V>
ACE_INLINE void block_forward(const Plan& plan, const Block& b, const T* c, const V* x, V* u,
                              V* rho) {
    each_part(b.width, [&](int k0, auto K) ACE_LAMBDA {
        for (int r0 = 0; r0 < R; r0 += rows_at_once(R, P, K()))
            part_forward<T, R, P, K(), kept>(plan, b, r0, k0, c, x, u, rho);
    });
}

// One block backward: w_row += F u, w_column += (F C) x_row.
template <class T, int R, int P, class V = typename Simd<T>::V>
ACE_INLINE void block_backward(const Plan& plan, const Block& b, const T* __restrict c,
                               const V* __restrict x, const V* __restrict u, V* __restrict w,
                               const V* __restrict slope) {
    const V* rows[R];
    for (int r = 0; r < R; r++) {
        rows[r] = x + plan.row_places[b.row + r];
        V* to = w + plan.row_places[b.row + r];
        for (int p = 0; p < P; p++)
            for (int k = 0; k < b.width; k++) to[k] += slope[p] * *u++;
    }
    const int* columns = plan.column_places.data() + b.column;
    if (b.width == 1) {  // F x_row once for all columns
        V pulled[R][P];
        for (int r = 0; r < R; r++)
            for (int p = 0; p < P; p++) pulled[r][p] = slope[p] * rows[r][0];
        for (int e = 0; e < b.columns; e++, c += R * P) {
            V sum[P] = {};
#pragma GCC unroll 4
            for (int r = 0; r < R; r++)
#pragma GCC unroll 4
                for (int p = 0; p < P; p++)
                    sum[p] += Simd<T>::set(c[r * P + p]) * pulled[r][p];
#pragma GCC unroll 4
            for (int p = 1; p < P; p++) sum[0] += sum[p];
            w[columns[e]] += sum[0];
        }
        return;
    }
    for (int e = 0; e < b.columns; e++, c += R * P) {
        V pulled[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            pulled[r] = slope[0] * Simd<T>::set(c[r * P]);
#pragma GCC unroll 4
            for (int p = 1; p < P; p++) pulled[r] += slope[p] * Simd<T>::set(c[r * P + p]);
        }
        V* to = w + columns[e];
        for (int k = 0; k < b.width; k++) {
            V sum = to[k];
#pragma GCC unroll 4
            for (int r = 0; r < R; r++) sum += pulled[r] * rows[r][k];
            to[k] = sum;
        }
    }
}

template <class T, int P, bool kept = true, class V = typename Simd<T>::V>
void form_forward(const Plan& plan, const T* c, const V* x, V* u, V* rho) {
    V r[P] = {};
    for (const Block& b : plan.blocks) {
        const T* bc = c + b.coefficient * P;
        switch (b.rows) {
            case 1: block_forward<T, 1, P, kept>(plan, b, bc, x, u, r); break;
            case 2: block_forward<T, 2, P, kept>(plan, b, bc, x, u, r); break;
            default: block_forward<T, 4, P, kept>(plan, b, bc, x, u, r); break;
        }
        u += b.rows * P * b.width;
    }
    for (int p = 0; p < P; p++) rho[p] = r[p];
}

template <class T, int P, class V = typename Simd<T>::V>
void form_backward(const Plan& plan, const T* c, const V* x, const V* u, V* w,
                   const V* slope) {
    for (const Block& b : plan.blocks) {
        const T* bc = c + b.coefficient * P;
        switch (b.rows) {
            case 1: block_backward<T, 1, P>(plan, b, bc, x, u, w, slope); break;
            case 2: block_backward<T, 2, P>(plan, b, bc, x, u, w, slope); break;
            default: block_backward<T, 4, P>(plan, b, bc, x, u, w, slope); break;
        }
        u += b.rows * P * b.width;
    }
}

// A part of one block of a linear model, where dE/drho = 1: forward and backward in one pass.
template <class T, int R, int K, class V = typename Simd<T>::V>
ACE_INLINE void part_linear(const Plan& plan, const Block& b, int k0, const T* __restrict c,
                            const V* __restrict x, V* __restrict w, V& rho) {
    V sum[R][K] = {};
    const int* columns = plan.column_places.data() + b.column;
    const V* rows[R];
    for (int r = 0; r < R; r++) rows[r] = x + plan.row_places[b.row + r] + k0;
    for (int e = 0; e < b.columns; e++, c += R) {
        const V* column = x + columns[e] + k0;
        V* to = w + columns[e] + k0;
        V at[K], pulled[K];
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) {
            at[k] = column[k];
            pulled[k] = to[k];
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            const V q = Simd<T>::set(c[r]);
#pragma GCC unroll 4
            for (int k = 0; k < K; k++) {
                sum[r][k] += q * at[k];
                pulled[k] += q * rows[r][k];
            }
        }
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) to[k] = pulled[k];
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) {
            rho += rows[r][k] * sum[r][k];
            w[plan.row_places[b.row + r] + k0 + k] += sum[r][k];
        }
}

template <class T, class V = typename Simd<T>::V>
V form_linear(const Plan& plan, const T* c, const V* x, V* w) {
    V rho = V{};
    for (const Block& b : plan.blocks) {
        const T* bc = c + b.coefficient;
        each_part(b.width, [&](int k0, auto K) ACE_LAMBDA {
            switch (b.rows) {
                case 1: part_linear<T, 1, K()>(plan, b, k0, bc, x, w, rho); break;
                case 2: part_linear<T, 2, K()>(plan, b, k0, bc, x, w, rho); break;
                default: part_linear<T, 4, K()>(plan, b, k0, bc, x, w, rho); break;
            }
        });
    }
    return rho;
}

// `all`: those too that no other node needs.
template <class V>
void nodes_forward(const Plan& plan, V* __restrict x, bool all = true) {
    for (const OpRange& range : plan.op_ranges) {
        if (range.last && !all) continue;
        const Op *o = &plan.ops[range.begin], *end = o + (range.end - range.begin);
        switch (range.kind) {
            case Op::real_real:
                for (; o < end; o++) x[o->out_re] = x[o->a_re] * x[o->b_re];
                break;
            case Op::real_complex:
                for (; o < end; o++) {
                    const V a = x[o->a_re];
                    x[o->out_re] = a * x[o->b_re];
                    x[o->out_im] = a * x[o->b_im];
                }
                break;
            case Op::product:
                for (; o < end; o++) {
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    x[o->out_re] = a * c - b * d;
                    x[o->out_im] = a * d + b * c;
                }
                break;
            case Op::mixed:
                for (; o < end; o++) {
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    x[o->out_re] = a * c + b * d;
                    x[o->out_im] = b * c - a * d;
                }
                break;
            case Op::product_real:
                for (; o < end; o++)
                    x[o->out_re] = x[o->a_re] * x[o->b_re] - x[o->a_im] * x[o->b_im];
                break;
            default:
                for (; o < end; o++)
                    x[o->out_re] = x[o->a_re] * x[o->b_re] + x[o->a_im] * x[o->b_im];
        }
    }
}

template <class V>
void nodes_backward(const Plan& plan, const V* __restrict x, V* __restrict w) {
    for (auto range = plan.op_ranges.rbegin(); range != plan.op_ranges.rend(); ++range) {
        const Op *o = &plan.ops[range->begin], *end = o + (range->end - range->begin);
        switch (range->kind) {
            case Op::real_real:
                for (; o < end; o++) {
                    const V g = w[o->out_re], a = x[o->a_re], c = x[o->b_re];
                    w[o->a_re] += g * c;
                    w[o->b_re] += g * a;
                }
                break;
            case Op::real_complex:
                for (; o < end; o++) {
                    const V g = w[o->out_re], h = w[o->out_im], a = x[o->a_re];
                    w[o->a_re] += g * x[o->b_re] + h * x[o->b_im];
                    w[o->b_re] += g * a;
                    w[o->b_im] += h * a;
                }
                break;
            case Op::product:
                for (; o < end; o++) {
                    const V g = w[o->out_re], h = w[o->out_im];
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    w[o->a_re] += g * c + h * d;
                    w[o->a_im] += h * c - g * d;
                    w[o->b_re] += g * a + h * b;
                    w[o->b_im] += h * a - g * b;
                }
                break;
            case Op::mixed:
                for (; o < end; o++) {
                    const V g = w[o->out_re], h = w[o->out_im];
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    w[o->a_re] += g * c - h * d;
                    w[o->a_im] += g * d + h * c;
                    w[o->b_re] += g * a + h * b;
                    w[o->b_im] += g * b - h * a;
                }
                break;
            case Op::product_real:
                for (; o < end; o++) {
                    const V g = w[o->out_re];
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    w[o->a_re] += g * c;
                    w[o->a_im] -= g * d;
                    w[o->b_re] += g * a;
                    w[o->b_im] -= g * b;
                }
                break;
            default:
                for (; o < end; o++) {
                    const V g = w[o->out_re];
                    const V a = x[o->a_re], b = x[o->a_im], c = x[o->b_re], d = x[o->b_im];
                    w[o->a_re] += g * c;
                    w[o->a_im] += g * d;
                    w[o->b_re] += g * a;
                    w[o->b_im] += g * b;
                }
        }
    }
}

}  // namespace ace::ACE_ISA
