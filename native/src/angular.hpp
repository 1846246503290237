// The angular part for vectors of neighbours, unrolled for every lmax. Harmonics are
// unnormalised: Q_lm c_m and Q_lm s_m with c_m + i s_m = (x + iy)^m and Q_lm = d^m P_l/dz^m
// divided by its leading coefficient, so that Q_lm = z Q_l-1,m - b Q_l-2,m. Because
// dQ_lm/dz = (l - m) Q_l,m+1 no derivative of a harmonic is ever formed. Included by engine.hpp.
#pragma once

// Plan::spans and Plan::span_first.
struct Spans {
    const Span* of;
    const int* first;
};

// What the neighbours of M vectors feel: the radial part sum a R' Y, and the gradient of
// sum a R Y with respect to the unit vector, taken as a polynomial.
template <class V, int M>
struct Pulled {
    V radial[M], x[M], y[M], z[M];
};

template <class T, int lmax>
struct Angular {
    using V = typename Simd<T>::V;
    static constexpr int polynomials = (lmax + 1) * (lmax + 2) / 2;
    static constexpr int at(int l, int m) { return m * (lmax + 1) - m * (m - 1) / 2 + l - m; }

    static ACE_INLINE void legendre(V z, V* __restrict q) {
#pragma GCC unroll 24
        for (int m = 0; m <= lmax; m++) {
            q[at(m, m)] = V{} + T(1);
            if (m < lmax) q[at(m + 1, m)] = z;
#pragma GCC unroll 24
            for (int l = m + 2; l <= lmax; l++) {
                const T b = T(double((l + m - 1) * (l - m - 1)) / ((2 * l - 1) * (2 * l - 3)));
                q[at(l, m)] = z * q[at(l - 1, m)] - b * q[at(l - 2, m)];
            }
        }
    }

    // Component k of l at l*l + k: m = 0, then cosine and sine of each m.
    static void harmonics(V x, V y, V z, V* __restrict out) {
        V q[polynomials];
        legendre(z, q);
#pragma GCC unroll 24
        for (int l = 0; l <= lmax; l++) out[l * l] = q[at(l, 0)];
        V c = x, s = y;
#pragma GCC unroll 24
        for (int m = 1; m <= lmax; m++) {
#pragma GCC unroll 24
            for (int l = m; l <= lmax; l++) {
                out[l * l + 2 * m - 1] = q[at(l, m)] * c;
                out[l * l + 2 * m] = q[at(l, m)] * s;
            }
            const V next = x * c - y * s;
            s = x * s + y * c;
            c = next;
        }
    }

    // r, d: radial functions and slopes of M vectors, `step` apart. a: adjoints in the order
    // [m][l][n][real, imaginary] (m = 0: real only).
    template <int M>
    static void pull(const V* __restrict x, const V* __restrict y, const V* __restrict z,
                     const V* __restrict r, const V* __restrict d, int step, Spans spans,
                     const T* __restrict a, Pulled<V, M>& out) {
        V q[M][polynomials + 1];
        V c[M], s[M];  // of m - 1
        for (int u = 0; u < M; u++) {
            legendre(z[u], q[u]);
            c[u] = V{} + T(1);
            s[u] = V{};
            out.x[u] = out.y[u] = out.z[u] = out.radial[u] = V{};
        }
#pragma GCC unroll 24
        for (int l = 0; l <= lmax; l++) {
            V p[M] = {}, t[M] = {};
            for (int k = spans.first[l]; k < spans.first[l + 1]; k++) {
                const V *rn = r + spans.of[k].column, *dn = d + spans.of[k].column;
                for (int n = 0; n < spans.of[k].count; n++) {
                    const V b = V{} + *a++;
#pragma GCC unroll 4
                    for (int u = 0; u < M; u++) {
                        p[u] += b * rn[u * step + n];
                        t[u] += b * dn[u * step + n];
                    }
                }
            }
#pragma GCC unroll 4
            for (int u = 0; u < M; u++) {
                out.radial[u] += q[u][at(l, 0)] * t[u];
                if (l >= 1) out.z[u] += q[u][at(l, 1)] * T(l) * p[u];
            }
        }
#pragma GCC unroll 24
        for (int m = 1; m <= lmax; m++) {
            V f[M] = {}, g[M] = {}, tc[M] = {}, ts[M] = {}, fz[M] = {}, gz[M] = {};
#pragma GCC unroll 24
            for (int l = m; l <= lmax; l++) {
                V pc[M] = {}, ps[M] = {}, dc[M] = {}, ds[M] = {};
                for (int k = spans.first[l]; k < spans.first[l + 1]; k++) {
                    const V *rn = r + spans.of[k].column, *dn = d + spans.of[k].column;
                    for (int n = 0; n < spans.of[k].count; n++, a += 2) {
                        const V b = V{} + a[0], e = V{} + a[1];
#pragma GCC unroll 4
                        for (int u = 0; u < M; u++) {
                            const V rv = rn[u * step + n], dv = dn[u * step + n];
                            pc[u] += b * rv;
                            ps[u] += e * rv;
                            dc[u] += b * dv;
                            ds[u] += e * dv;
                        }
                    }
                }
#pragma GCC unroll 4
                for (int u = 0; u < M; u++) {
                    const V ql = q[u][at(l, m)];
                    f[u] += ql * pc[u];
                    g[u] += ql * ps[u];
                    tc[u] += ql * dc[u];
                    ts[u] += ql * ds[u];
                    if (l > m) {
                        const V qn = q[u][at(l, m + 1)] * T(l - m);
                        fz[u] += qn * pc[u];
                        gz[u] += qn * ps[u];
                    }
                }
            }
#pragma GCC unroll 4
            for (int u = 0; u < M; u++) {
                f[u] *= T(m);
                g[u] *= T(m);
                out.x[u] += f[u] * c[u] + g[u] * s[u];
                out.y[u] += g[u] * c[u] - f[u] * s[u];
                const V next = x[u] * c[u] - y[u] * s[u];
                s[u] = x[u] * s[u] + y[u] * c[u];
                c[u] = next;
                out.radial[u] += tc[u] * c[u] + ts[u] * s[u];
                out.z[u] += fz[u] * c[u] + gz[u] * s[u];
            }
        }
    }
};

template <class T, int most>
struct AngularTable {
    using V = typename Simd<T>::V;
    void (*harmonics[most + 1])(V, V, V, V*);
    void (*pull_one[most + 1])(const V*, const V*, const V*, const V*, const V*, int, Spans,
                               const T*, Pulled<V, 1>&);
    void (*pull_two[most + 1])(const V*, const V*, const V*, const V*, const V*, int, Spans,
                               const T*, Pulled<V, 2>&);
    AngularTable() { fill<0>(); }
    template <int lmax>
    void fill() {
        harmonics[lmax] = Angular<T, lmax>::harmonics;
        pull_one[lmax] = Angular<T, lmax>::template pull<1>;
        pull_two[lmax] = Angular<T, lmax>::template pull<2>;
        if constexpr (lmax < most) fill<lmax + 1>();
    }
};
