// The product stage, atoms across lanes: interior nodes, then the bilinear form of plan.hpp.
// Included by engine.hpp.
#pragma once

// One block forward: u = C x_column (kept), rho += x_row u.
template <class T, int complex, int R, int P, class V = typename Simd<T>::V>
ACE_INLINE void block_forward(const Plan& plan, const Block& b, const T* __restrict c,
                              const V* __restrict x, V* __restrict u, V* __restrict rho) {
    V re[R][P] = {}, im[complex ? R : 1][P] = {};
    const int* cr = plan.column_re.data() + b.column;
    const int* ci = plan.column_im.data() + b.column;
    for (int e = 0; e < b.columns; e++, c += R * P) {
        const V xr = x[cr[e]], xi = complex ? x[ci[e]] : V{};
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int p = 0; p < P; p++) {
                const V w = Simd<T>::set(c[r * P + p]);
                re[r][p] += w * xr;
                if (complex) im[r][p] += w * xi;
            }
    }
    const T sign = b.sign;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const V xr = x[plan.row_re[b.row + r]], xi = complex ? x[plan.row_im[b.row + r]] : V{};
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            rho[p] += xr * re[r][p];
            *u++ = re[r][p];
            if (complex) {
                const V signed_im = im[r][p] * sign;
                rho[p] += xi * signed_im;
                *u++ = signed_im;
            }
        }
    }
}

// One block backward: w_row += F u, w_column += C (F x_row).
template <class T, int complex, int R, int P, class V = typename Simd<T>::V>
ACE_INLINE void block_backward(const Plan& plan, const Block& b, const T* __restrict c,
                               const V* __restrict x, const V* __restrict u, V* __restrict w,
                               const V* __restrict slope) {
    V re[R][P], im[complex ? R : 1][P];
    const T sign = b.sign;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        const int at_re = plan.row_re[b.row + r], at_im = plan.row_im[b.row + r];
        const V xr = x[at_re], xi = complex ? x[at_im] * sign : V{};
        V wr = V{}, wi = V{};
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            re[r][p] = slope[p] * xr;
            wr += slope[p] * *u++;
            if (complex) {
                im[r][p] = slope[p] * xi;
                wi += slope[p] * *u++;
            }
        }
        w[at_re] += wr;
        if (complex) w[at_im] += wi;
    }
    const int* cr = plan.column_re.data() + b.column;
    const int* ci = plan.column_im.data() + b.column;
    for (int e = 0; e < b.columns; e++, c += R * P) {
        V wr[P] = {}, wi[P] = {};
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
#pragma GCC unroll 4
            for (int p = 0; p < P; p++) {
                const V k = Simd<T>::set(c[r * P + p]);
                wr[p] += k * re[r][p];
                if (complex) wi[p] += k * im[r][p];
            }
#pragma GCC unroll 4
        for (int p = 1; p < P; p++) {
            wr[0] += wr[p];
            if (complex) wi[0] += wi[p];
        }
        w[cr[e]] += wr[0];
        if (complex) w[ci[e]] += wi[0];
    }
}

template <class T, int P, class V = typename Simd<T>::V>
void form_forward(const Plan& plan, const T* c, const V* x, V* u, V* rho) {
    V r[P] = {};
    for (const Block& b : plan.blocks) {
        const T* bc = c + b.coefficient * P;
        const int which = 4 * b.complex + b.rows;
        switch (which) {
            case 1: block_forward<T, 0, 1, P>(plan, b, bc, x, u, r); break;
            case 2: block_forward<T, 0, 2, P>(plan, b, bc, x, u, r); break;
            case 4: block_forward<T, 0, 4, P>(plan, b, bc, x, u, r); break;
            case 5: block_forward<T, 1, 1, P>(plan, b, bc, x, u, r); break;
            case 6: block_forward<T, 1, 2, P>(plan, b, bc, x, u, r); break;
            default: block_forward<T, 1, 4, P>(plan, b, bc, x, u, r); break;
        }
        u += (b.complex ? 2 : 1) * b.rows * P;
    }
    for (int p = 0; p < P; p++) rho[p] = r[p];
}

template <class T, int P, class V = typename Simd<T>::V>
void form_backward(const Plan& plan, const T* c, const V* x, const V* u, V* w,
                   const V* slope) {
    for (const Block& b : plan.blocks) {
        const T* bc = c + b.coefficient * P;
        switch (4 * b.complex + b.rows) {
            case 1: block_backward<T, 0, 1, P>(plan, b, bc, x, u, w, slope); break;
            case 2: block_backward<T, 0, 2, P>(plan, b, bc, x, u, w, slope); break;
            case 4: block_backward<T, 0, 4, P>(plan, b, bc, x, u, w, slope); break;
            case 5: block_backward<T, 1, 1, P>(plan, b, bc, x, u, w, slope); break;
            case 6: block_backward<T, 1, 2, P>(plan, b, bc, x, u, w, slope); break;
            default: block_backward<T, 1, 4, P>(plan, b, bc, x, u, w, slope); break;
        }
        u += (b.complex ? 2 : 1) * b.rows * P;
    }
}

// One block of a linear model, where dE/drho = 1: forward and backward in one pass.
template <class T, int complex, int R, class V = typename Simd<T>::V>
ACE_INLINE void block_linear(const Plan& plan, const Block& b, const T* __restrict c,
                             const V* __restrict x, V* __restrict w, V& rho) {
    V re[R] = {}, im[complex ? R : 1] = {}, xr[R], xi[complex ? R : 1];
    const T sign = b.sign;
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        xr[r] = x[plan.row_re[b.row + r]];
        if (complex) xi[r] = x[plan.row_im[b.row + r]] * sign;
    }
    const int* cr = plan.column_re.data() + b.column;
    const int* ci = plan.column_im.data() + b.column;
    for (int e = 0; e < b.columns; e++, c += R) {
        const V yr = x[cr[e]], yi = complex ? x[ci[e]] : V{};
        V wr = w[cr[e]], wi = complex ? w[ci[e]] : V{};
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            const V k = Simd<T>::set(c[r]);
            re[r] += k * yr;
            wr += k * xr[r];
            if (complex) {
                im[r] += k * yi;
                wi += k * xi[r];
            }
        }
        w[cr[e]] = wr;
        if (complex) w[ci[e]] = wi;
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        rho += xr[r] * re[r];
        w[plan.row_re[b.row + r]] += re[r];
        if (complex) {
            rho += xi[r] * im[r];
            w[plan.row_im[b.row + r]] += im[r] * sign;
        }
    }
}

template <class T, class V = typename Simd<T>::V>
V form_linear(const Plan& plan, const T* c, const V* x, V* w) {
    V rho = V{};
    for (const Block& b : plan.blocks) {
        const T* bc = c + b.coefficient;
        switch (4 * b.complex + b.rows) {
            case 1: block_linear<T, 0, 1>(plan, b, bc, x, w, rho); break;
            case 2: block_linear<T, 0, 2>(plan, b, bc, x, w, rho); break;
            case 4: block_linear<T, 0, 4>(plan, b, bc, x, w, rho); break;
            case 5: block_linear<T, 1, 1>(plan, b, bc, x, w, rho); break;
            case 6: block_linear<T, 1, 2>(plan, b, bc, x, w, rho); break;
            default: block_linear<T, 1, 4>(plan, b, bc, x, w, rho); break;
        }
    }
    return rho;
}

template <class V>
void nodes_forward(const Plan& plan, V* __restrict x) {
    for (const OpRange& range : plan.op_ranges) {
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
