// Sums over the neighbours of one atom. Included by rows/engine.hpp.
#pragma once

// What A_lm is made of at one vector of neighbours: with k = u Y and h = grad(r^l Y) - l k, where
// r = 1, dA/dr = R/r h + R' k, and A = R/r (r Y).
struct Pieces {
    V across[3], along[3], value;  // h, k and r Y
};

// Those of one lm; distances by q.
inline void pieces(const Harmonics& harmonics, const Site& site, const std::vector<int>& used,
                   int l, int lm, const V* distance, Pieces* to) {
    for (const int q : used) {
        const V *u = site.unit(q), y = site.harmonic(q)[lm];
        harmonics.gradient(lm, site.harmonic(q), to->across);
        for (int d = 0; d < 3; d++) {
            to->along[d] = u[d] * y;
            to->across[d] -= double(l) * to->along[d];
        }
        to->value = distance[q] * y;
        to++;
    }
}

// All sums of one A over vectors q: R/r and R' [q][2], positions [xyz][q], `step` apart.
template <bool virial>
ACE_INLINE void moments(const std::vector<int>& used, const V* radial, const V* at,
                        size_t step, const Pieces* p, V* out) {
    V t[sum_vectors * W] = {};
    for (const int q : used) {
        const V value = radial[2 * q], slope = radial[2 * q + 1];
        t[sum_value] += value * p->value;
        if constexpr (virial) {
            const V x = at[q], y = at[step + q], z = at[2 * step + q];
            const V dx = value * p->across[0] + slope * p->along[0],
                    dy = value * p->across[1] + slope * p->along[1],
                    dz = value * p->across[2] + slope * p->along[2];
            t[0] -= x * dx;
            t[1] -= y * dy;
            t[2] -= z * dz;
            t[3] -= y * dz;
            t[4] -= x * dz;
            t[5] -= x * dy;
            t[6] += dx;
            t[7] += dy;
            t[8] += dz;
        } else {
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) {
                t[sum_move + d] += value * p->across[d];
                t[sum_move + d] += slope * p->along[d];
            }
        }
        p++;
    }
#pragma GCC unroll 8
    for (int k = 0; k < sum_count / W; k++) out[k] = lane_sums<W>(t + k * W);
    if constexpr (sum_count % W != 0)
        out[sum_vectors - 1] = lane_sums<sum_count % W>(t + sum_count / W * W);
}
