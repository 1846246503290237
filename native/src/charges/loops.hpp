// Loops over many pairs of Gaussian charges, for one instruction set. Compilers make vectors of them:
// there are no branches, and no array is another.
#pragma once
#include <cmath>
#include <cstdint>

#include "charges/gaussian.hpp"
#include "engine/isa.hpp"

namespace ace::ACE_ISA {

inline void squares(int count, const double* from, Columns3 atoms, double* __restrict square) {
    const double *__restrict ax = atoms.x, *__restrict ay = atoms.y, *__restrict az = atoms.z;
    for (int k = 0; k < count; k++) {
        const double x = from[0] - ax[k], y = from[1] - ay[k], z = from[2] - az[k];
        square[k] = x * x + y * y + z * z;
    }
}

inline void interactions(int count, const double* __restrict square,
                         const double* __restrict inverse, double* __restrict value,
                         double* __restrict slope) {
    constexpr int terms = BoysTable::degree + 1;
    const double* __restrict const table = boys.coefficients[0];
    for (int k = 0; k < count; k++) {
        const double u = square[k] * inverse[k];
        const double near = u < BoysTable::end ? 1.0 : 0.0, beyond = 1 - near;
        const double within = near * u;
        const int32_t interval = static_cast<int32_t>(BoysTable::per_unit * within);
        const double t = within - (interval + 0.5) / BoysTable::per_unit;
        double v = table[terms * interval + BoysTable::degree], s = 0;
#pragma GCC unroll 16
        for (int d = BoysTable::degree - 1; d >= 0; d--) {
            s = s * t + v;
            v = v * t + table[terms * interval + d];
        }
        const double scale = near * std::sqrt(inverse[k]);
        const double far = beyond / std::sqrt(beyond * square[k] + near);
        value[k] = scale * v + far;
        slope[k] = 2 * scale * inverse[k] * s - far * far * far;
    }
}

inline void pull(int count, const double* __restrict slope, const double* from, Columns3 atoms,
                 double l, double r, const double* __restrict left,
                 const double* __restrict right, double* const* to, double* sums) {
    const double *__restrict ax = atoms.x, *__restrict ay = atoms.y, *__restrict az = atoms.z;
    double *__restrict tx = to[0], *__restrict ty = to[1], *__restrict tz = to[2];
    double s[9] = {};
    for (int k = 0; k < count; k++) {
        const double x = from[0] - ax[k], y = from[1] - ay[k], z = from[2] - az[k];
        const double both = slope[k] * (l * right[k] + r * left[k]);
        const double cx = both * x, cy = both * y, cz = both * z;
        tx[k] += cx;
        ty[k] += cy;
        tz[k] += cz;
        s[0] += cx;
        s[1] += cy;
        s[2] += cz;
        s[3] += cx * x;
        s[4] += cy * y;
        s[5] += cz * z;
        s[6] += cy * z;
        s[7] += cx * z;
        s[8] += cx * y;
    }
    for (int k = 0; k < 9; k++) sums[k] += s[k];
}

}  // namespace ace::ACE_ISA

namespace ace {

PairLoops ACE_MAKE() { return {ACE_ISA::squares, ACE_ISA::interactions, ACE_ISA::pull}; }

}  // namespace ace
