// Harmonics of vectors of neighbours and their derivatives along a direction of each. Loops, not
// unrolled: the sums over neighbours take longer.
#pragma once
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// The harmonics of angular.hpp at the unit vector (x, y, z), component k of l at l*l + k, and their
// derivatives as polynomials in x, y, z along (tx, ty, tz).
template <class T, class V = typename Simd<T>::V>
void turn(int lmax, V x, V y, V z, V tx, V ty, V tz, V* __restrict out, V* __restrict along) {
    V c = V{} + T(1), s = {}, dc = {}, ds = {};  // of one m
    for (int m = 0; m <= lmax; m++) {
        V value = V{} + T(1), slope = {}, before = {}, slope_before = {};  // Q_lm, dQ_lm/dz
        for (int l = m; l <= lmax; l++) {
            const V dz = slope * tz;
            const int at = l * l + (m ? 2 * m - 1 : 0);
            out[at] = value * c;
            along[at] = value * dc + dz * c;
            if (m) {
                out[at + 1] = value * s;
                along[at + 1] = value * ds + dz * s;
            }
            const T b = T(double((l + m) * (l - m)) / ((2 * l + 1) * (2 * l - 1)));
            const V next = z * value - b * before;
            const V next_slope = value + z * slope - b * slope_before;
            before = value;
            slope_before = slope;
            value = next;
            slope = next_slope;
        }
        const V next = x * c - y * s, dnext = tx * c + x * dc - ty * s - y * ds;
        ds = tx * s + x * ds + ty * c + y * dc;
        s = x * s + y * c;
        c = next;
        dc = dnext;
    }
}

}  // namespace ace::ACE_ISA
