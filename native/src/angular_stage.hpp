// The body of angular.hpp: ACE_ANGULAR is its name, ACE_UNROLL stands before its loops.

template <class T, int lmax>
struct ACE_ANGULAR {
    using V = typename Simd<T>::V;
    static constexpr int polynomials = (lmax + 1) * (lmax + 2) / 2;
    static constexpr int at(int l, int m) { return m * (lmax + 1) - m * (m - 1) / 2 + l - m; }

    static ACE_INLINE void legendre(V z, V* __restrict q) {
        ACE_UNROLL
        for (int m = 0; m <= lmax; m++) {
            q[at(m, m)] = V{} + T(1);
            if (m < lmax) q[at(m + 1, m)] = z;
            ACE_UNROLL
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
        ACE_UNROLL
        for (int l = 0; l <= lmax; l++) out[l * l] = q[at(l, 0)];
        V c = x, s = y;
        ACE_UNROLL
        for (int m = 1; m <= lmax; m++) {
            ACE_UNROLL
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
        ACE_UNROLL
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
        ACE_UNROLL
        for (int m = 1; m <= lmax; m++) {
            // All sums over n first: with those over l, they would not stay in registers.
            V sums[lmax + 1][4][M];
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
                    sums[l][0][u] = pc[u];
                    sums[l][1][u] = ps[u];
                    sums[l][2][u] = dc[u];
                    sums[l][3][u] = ds[u];
                }
            }
#pragma GCC unroll 4
            for (int u = 0; u < M; u++) {
                V f = {}, g = {}, tc = {}, ts = {}, fz = {}, gz = {};
                ACE_UNROLL
                for (int l = m; l <= lmax; l++) {
                    const V ql = q[u][at(l, m)];
                    f += ql * sums[l][0][u];
                    g += ql * sums[l][1][u];
                    tc += ql * sums[l][2][u];
                    ts += ql * sums[l][3][u];
                    if (l > m) {
                        const V qn = q[u][at(l, m + 1)] * T(l - m);
                        fz += qn * sums[l][0][u];
                        gz += qn * sums[l][1][u];
                    }
                }
                f *= T(m);
                g *= T(m);
                out.x[u] += f * c[u] + g * s[u];
                out.y[u] += g * c[u] - f * s[u];
                const V next = x[u] * c[u] - y[u] * s[u];
                s[u] = x[u] * s[u] + y[u] * c[u];
                c[u] = next;
                out.radial[u] += tc * c[u] + ts * s[u];
                out.z[u] += fz * c[u] + gz * s[u];
            }
        }
    }
};
