// Spherical harmonics of a vector of neighbours, unnormalised: Q_lm c_m and Q_lm s_m with
// Q_lm = d^m P_l/dz^m and c_m + i s_m = (x + iy)^m. Because dQ_lm/dz = Q_l,m+1 no derivative of
// a harmonic is ever formed. Included by engine.hpp.
#pragma once

template <class V, int L>
struct Angular {
    static constexpr int polynomials = (L + 1) * (L + 2) / 2;
    static constexpr int at(int l, int m) { return m * (L + 1) - m * (m - 1) / 2 + l - m; }

    static ACE_INLINE void legendre(V z, V* __restrict q) {
#pragma GCC unroll 24
        for (int m = 0; m <= L; m++) {
            double first = 1;
            for (int k = 1; k <= m; k++) first *= 2 * k - 1;
            V a = V{} + first;
            q[at(m, m)] = a;
            if (m == L) continue;
            V b = z * (first * (2 * m + 1));
            q[at(m + 1, m)] = b;
#pragma GCC unroll 24
            for (int l = m + 2; l <= L; l++) {
                const V c = (double(2 * l - 1) / (l - m)) * z * b - (double(l + m - 1) / (l - m)) * a;
                q[at(l, m)] = c;
                a = b;
                b = c;
            }
        }
    }

    static ACE_INLINE void powers(V x, V y, V* __restrict c, V* __restrict s) {
        c[0] = V{} + 1.0;
        s[0] = V{};
#pragma GCC unroll 24
        for (int m = 1; m <= L; m++) {
            c[m] = m == 1 ? x : x * c[m - 1] - y * s[m - 1];
            s[m] = m == 1 ? y : x * s[m - 1] + y * c[m - 1];
        }
    }

    // Component k of l at l*l + k: m = 0, then cosine and sine of each m.
    static void harmonics(V x, V y, V z, V* __restrict out) {
        V q[polynomials], c[L + 1], s[L + 1];
        legendre(z, q);
        powers(x, y, c, s);
#pragma GCC unroll 24
        for (int l = 0; l <= L; l++) {
            out[l * l] = q[at(l, 0)];
#pragma GCC unroll 24
            for (int m = 1; m <= l; m++) {
                out[l * l + 2 * m - 1] = q[at(l, m)] * c[m];
                out[l * l + 2 * m] = q[at(l, m)] * s[m];
            }
        }
    }

    // With p = sum_n a R and d = sum_n a R' per component: the radial part sum d Y, and the
    // gradient of sum p Y with respect to the unit vector as a polynomial.
    static void pull(V x, V y, V z, const V* __restrict p, const V* __restrict d, V& radial, V& gx,
                     V& gy, V& gz) {
        V q[polynomials], c[L + 1], s[L + 1];
        legendre(z, q);
        powers(x, y, c, s);
        V r0 = V{}, r1 = V{}, z0 = V{}, z1 = V{}, sx = V{}, sy = V{};
#pragma GCC unroll 24
        for (int l = 0; l <= L; l++) {
            r0 += q[at(l, 0)] * d[l * l];
            if (l >= 1) z0 += q[at(l, 1)] * p[l * l];
        }
#pragma GCC unroll 24
        for (int m = 1; m <= L; m++) {
            V f = V{}, g = V{}, t = V{}, u = V{}, fz = V{}, gzm = V{};
#pragma GCC unroll 24
            for (int l = m; l <= L; l++) {
                const V ql = q[at(l, m)], re = p[l * l + 2 * m - 1], im = p[l * l + 2 * m];
                f += ql * re;
                g += ql * im;
                t += ql * d[l * l + 2 * m - 1];
                u += ql * d[l * l + 2 * m];
                if (l > m) {
                    const V qn = q[at(l, m + 1)];
                    fz += qn * re;
                    gzm += qn * im;
                }
            }
            r0 += t * c[m];
            r1 += u * s[m];
            z0 += fz * c[m];
            z1 += gzm * s[m];
            f *= double(m);
            g *= double(m);
            sx += f * c[m - 1] + g * s[m - 1];
            sy += g * c[m - 1] - f * s[m - 1];
        }
        radial = r0 + r1;
        gx = sx;
        gy = sy;
        gz = z0 + z1;
    }
};

template <class V, int most>
struct AngularTable {
    void (*harmonics[most + 1])(V, V, V, V*);
    void (*pull[most + 1])(V, V, V, const V*, const V*, V&, V&, V&, V&);
    AngularTable() { fill<0>(); }
    template <int L>
    void fill() {
        harmonics[L] = Angular<V, L>::harmonics;
        pull[L] = Angular<V, L>::pull;
        if constexpr (L < most) fill<L + 1>();
    }
};
