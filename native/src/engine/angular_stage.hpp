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

    // The same and their derivatives, as polynomials in x, y, z, along (tx, ty, tz).
    static void turned(V x, V y, V z, V tx, V ty, V tz, V* __restrict out, V* __restrict along) {
        V q[polynomials];
        legendre(z, q);
        ACE_UNROLL
        for (int l = 0; l <= lmax; l++) {
            out[l * l] = q[at(l, 0)];
            along[l * l] = l > 0 ? q[at(l, l > 0)] * T(l) * tz : V{};
        }
        V c = x, s = y, dc = tx, ds = ty;
        ACE_UNROLL
        for (int m = 1; m <= lmax; m++) {
            ACE_UNROLL
            for (int l = m; l <= lmax; l++) {
                const V value = q[at(l, m)];
                const V slope = l > m ? q[at(l, l > m ? m + 1 : m)] * T(l - m) * tz : V{};
                V *to = out + l * l + 2 * m - 1, *d = along + l * l + 2 * m - 1;
                to[0] = value * c;
                to[1] = value * s;
                d[0] = value * dc + slope * c;
                d[1] = value * ds + slope * s;
            }
            const V next = x * c - y * s, turned = tx * c + x * dc - ty * s - y * ds;
            ds = tx * s + x * ds + ty * c + y * dc;
            s = x * s + y * c;
            c = next;
            dc = turned;
        }
    }

    // r, d: radial functions and slopes of M vectors, `step` apart. a: adjoints in the order of
    // Plan::pull_order.
    template <int M>
    static void pull(const V* __restrict x, const V* __restrict y, const V* __restrict z,
                     const V* __restrict r, const V* __restrict d, int step, Pulls pulls,
                     const T* __restrict a, Pulled<V, M>& out) {
        V sums[(lmax + 1) * (lmax + 1)][2][M];
        pull_sums<T, pull_components, M>(r, d, step, pulls, a, &sums[0][0][0]);
#pragma GCC unroll 4
        for (int u = 0; u < M; u++) {
            V q[polynomials + 1];
            legendre(z[u], q);
            V radial = {}, ox = {}, oy = {}, oz = {};
            ACE_UNROLL
            for (int l = 0; l <= lmax; l++) {
                radial += q[at(l, 0)] * sums[l * l][1][u];
                if (l >= 1) oz += q[at(l, 1)] * T(l) * sums[l * l][0][u];
            }
            V c = V{} + T(1), s = {};  // of m - 1
            ACE_UNROLL
            for (int m = 1; m <= lmax; m++) {
                V f = {}, g = {}, tc = {}, ts = {}, fz = {}, gz = {};
                ACE_UNROLL
                for (int l = m; l <= lmax; l++) {
                    const V* of = sums[l * l + 2 * m - 1][0] + u;
                    const V ql = q[at(l, m)];
                    f += ql * of[0];
                    g += ql * of[2 * M];
                    tc += ql * of[M];
                    ts += ql * of[3 * M];
                    if (l > m) {
                        const V qn = q[at(l, m + 1)] * T(l - m);
                        fz += qn * of[0];
                        gz += qn * of[2 * M];
                    }
                }
                f *= T(m);
                g *= T(m);
                ox += f * c + g * s;
                oy += g * c - f * s;
                const V next = x[u] * c - y[u] * s;
                s = x[u] * s + y[u] * c;
                c = next;
                radial += tc * c + ts * s;
                oz += fz * c + gz * s;
            }
            out.radial[u] = radial;
            out.x[u] = ox;
            out.y[u] = oy;
            out.z[u] = oz;
        }
    }
};
