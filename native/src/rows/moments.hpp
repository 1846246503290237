// Sums over the neighbours of one atom.
#pragma once
#include <vector>

#include "rows/harmonics.hpp"
#include "rows/tile.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

// Sums over the neighbours, per A: A itself, dA/dr_x, dA/dr_y, dA/dr_z and, if virials are wanted,
// -r_x dA/dr_y in the order xx yy zz yz xz xy.
constexpr int sum_count = 10, sums_without_virial = 4;
constexpr int sum_vectors(bool virial) {
    return ((virial ? sum_count : sums_without_virial) + W - 1) / W;
}
// All of them but A, for W atoms in the lanes.
constexpr int moment_count = 9, moments_without_virial = 3;

// What A_lm is made of at one vector of neighbours: with k = u Y and h = grad(r^l Y) - l k, where
// r = 1, dA/dr = R/r h + R' k, and A = R/r (r Y).
struct Pieces {
    V across[3], along[3], value;  // h, k and r Y
    V at[3];                       // r u
};

// Those of one lm; positions and distances [xyz and r][q], `step` apart.
inline void pieces(const Harmonics& harmonics, const Site& site, const std::vector<int>& used,
                   int l, int lm, const V* position, size_t step, Pieces* to) {
    for (const int q : used) {
        const V *u = site.unit(q), *y = u + 3;
        harmonics.gradient(lm, y, to->across);
        for (int d = 0; d < 3; d++) {
            to->along[d] = u[d] * y[lm];
            to->across[d] -= double(l) * to->along[d];
        }
        to->value = position[3 * step + q] * y[lm];
        for (int d = 0; d < 3; d++) to->at[d] = position[d * step + q];
        to++;
    }
}

// -dA/dr of the neighbours in the lanes, summed over the vectors q from one on (which are further
// images), for all A's of a family: out[column][xyz], `step` apart.
inline void sum_images(const Harmonics& harmonics, const Site& site, int first, int count,
                       const Family& family, Scratch<V>& pieces, V* out, size_t step) {
    pieces.need(size_t(6) * count);
    for (int l = 0, lm = 0; l <= family.lmax; l++)
        for (int m = 0; m <= 2 * l; m++, lm++) {
            V* to = pieces.data();  // across and along, as in Pieces, with the sign of the result
            for (int q = first; q < first + count; q++, to += 6) {
                const V *u = site.unit(q), *y = u + 3;
                V gradient[3];
                harmonics.gradient(lm, y, gradient);
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) {
                    to[3 + d] = -u[d] * y[lm];
                    to[d] = -gradient[d] - double(l) * to[3 + d];
                }
            }
            for (const Shell& shell : family.by_l[l]) {
                const V* radial = site.radial(first) + 2 * shell.channel;
                const V* p = pieces.data();
                V sum[3] = {};
                for (int q = 0; q < count; q++, p += 6, radial += site.record)
#pragma GCC unroll 3
                    for (int d = 0; d < 3; d++) sum[d] += radial[0] * p[d] + radial[1] * p[3 + d];
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) out[(shell.column + m) * step + d] = sum[d];
            }
        }
}

// As many shells at once as registers hold the sums of.
constexpr int shells_at_once(bool virial) { return virial ? (W == 8 ? 2 : 1) : (W == 8 ? 4 : 2); }

// All sums of M A's that differ in the radial function, over `count` vectors: R/r and R' of each.
template <bool virial, int M>
ACE_INLINE void moments(size_t count, const V* const* radial, const Pieces* p, V* const* out) {
    constexpr int vectors = sum_vectors(virial);
    V t[M][vectors * W] = {};
    for (size_t q = 0; q < 2 * count; q += 2, p++) {
#pragma GCC unroll 4
        for (int n = 0; n < M; n++) {
            const V value = radial[n][q], slope = radial[n][q + 1];
            t[n][0] += value * p->value;
            if constexpr (virial) {
                const V dx = value * p->across[0] + slope * p->along[0],
                        dy = value * p->across[1] + slope * p->along[1],
                        dz = value * p->across[2] + slope * p->along[2];
                t[n][1] += dx;
                t[n][2] += dy;
                t[n][3] += dz;
                t[n][4] -= p->at[0] * dx;
                t[n][5] -= p->at[1] * dy;
                t[n][6] -= p->at[2] * dz;
                t[n][7] -= p->at[1] * dz;
                t[n][8] -= p->at[0] * dz;
                t[n][9] -= p->at[0] * dy;
            } else {
#pragma GCC unroll 3
                for (int d = 0; d < 3; d++) {
                    t[n][1 + d] += value * p->across[d];
                    t[n][1 + d] += slope * p->along[d];
                }
            }
        }
    }
#pragma GCC unroll 4
    for (int n = 0; n < M; n++)
#pragma GCC unroll 8
        for (int k = 0; k < vectors; k++) out[n][k] = S::sums(t[n] + k * W);
}

}  // namespace ace::ACE_ISA::rows
