#include "ace/lattice.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ace/errors.hpp"

namespace ace {
namespace {

// Shortest vectors below this part of the longest one given are its rounding errors.
constexpr double digits = 1e-10;
// Shorter ones, in angstrom, have no volume either: squares and products of others are far from
// the ends of what numbers can be.
constexpr double shortest = 1e-20;

void cross(const double* a, const double* b, double* out) {
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

double length(const double* a) { return std::sqrt(dot(a, a)); }

// A unit vector normal to both (or to the first, if the second is zero).
void normal(const double* a, const double* b, double* out) {
    cross(a, b, out);
    if (length(out) == 0) {
        const double* one = length(a) > 0 ? a : b;
        const int small = std::abs(one[0]) < std::abs(one[1])
                              ? (std::abs(one[0]) < std::abs(one[2]) ? 0 : 2)
                              : (std::abs(one[1]) < std::abs(one[2]) ? 1 : 2);
        double axis[3] = {0, 0, 0};
        axis[small] = 1;
        cross(one, axis, out);
        if (length(out) == 0) std::memcpy(out, axis, sizeof axis);
    }
    const double norm = length(out);
    for (int d = 0; d < 3; d++) out[d] /= norm;
}

// Adds `times` b to a where that makes a shorter. A product of any size is exact until it is
// added, so only the short result is rounded.
bool shorten(double* a, double times, const double* b) {
    double sum[3];
    for (int d = 0; d < 3; d++) sum[d] = std::fma(times, b[d], a[d]);
    if (!(dot(sum, sum) < (1 - 1e-9) * dot(a, a))) return false;
    std::copy(sum, sum + 3, a);
    return true;
}

// Whether no multiple of b makes a shorter: known without a division.
bool is_short(const double* a, const double* b) {
    return 2 * std::abs(dot(a, b)) < (1 - 1e-9) * dot(b, b);
}

[[noreturn]] void refuse() { throw Error("cell: its periodic vectors span no volume"); }

}  // namespace

// Short for Minkowski: none of the vectors gets shorter by whole multiples of another, nor by one
// of each of the two others. Returns whether there was anything to do.
bool Lattice::reduce() {
    double longest = 0;
    for (int k = 0; k < 3; k++) longest = std::max(longest, dot(vectors[k], vectors[k]));
    const double least = std::max(digits * digits * longest, shortest * shortest);
    bool reduced = false;
    for (bool changed = true; changed; reduced = reduced || changed) {
        changed = false;
        for (int k = 0; k < 3; k++)
            if (periodic[k] && !(dot(vectors[k], vectors[k]) > least)) refuse();
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                if (i == j || !periodic[i] || !periodic[j]) continue;
                const double* b = vectors[j];
                if (is_short(vectors[i], b)) continue;
                const double times = std::round(dot(vectors[i], b) / dot(b, b));
                if (times != 0 && shorten(vectors[i], -times, b)) changed = true;
            }
        if (changed || !(periodic[0] && periodic[1] && periodic[2])) continue;
        for (int k = 0; k < 3; k++)
            for (const double sign : {1.0, -1.0}) {
                double both[3];
                const double *a = vectors[(k + 1) % 3], *b = vectors[(k + 2) % 3];
                for (int d = 0; d < 3; d++) both[d] = a[d] + sign * b[d];
                if (is_short(vectors[k], both)) continue;
                for (const double times : {1.0, -1.0})
                    changed = shorten(vectors[k], times, both) || changed;
            }
    }
    return reduced;
}

Lattice::Lattice(const double* cell, const int* pbc) {
    for (int k = 0; k < 3; k++) {
        periodic[k] = pbc[k] != 0;
        for (int d = 0; d < 3; d++) vectors[k][d] = periodic[k] ? cell[3 * k + d] : 0.0;
        for (const double v : vectors[k])
            if (!(std::abs(v) < 1e8))
                throw Error("cell: expected vectors of finite length below 1e8 A");
    }
    double given[3][3], whole[3][3], heights = 1;
    std::memcpy(given, vectors, sizeof given);
    const bool sound = complete();
    for (const double h : height) heights *= h;
    std::memcpy(whole, vectors, sizeof whole);
    std::memcpy(vectors, given, sizeof given);
    if (!reduce() && sound) {
        std::memcpy(vectors, whole, sizeof whole);
        return;
    }
    if (!complete()) refuse();
    double most = 1;
    for (const double h : height) most *= h;
    // Results keep their last bits in cells that are little sheared, or not at all.
    if (!sound || heights < 0.5 * most) return;
    std::memcpy(vectors, given, sizeof given);
    complete();
}

// What follows from the periodic vectors; false where these span no volume.
bool Lattice::complete() {
    for (int k = 0; k < 3; k++)
        if (!periodic[k]) normal(vectors[(k + 1) % 3], vectors[(k + 2) % 3], vectors[k]);
    for (int k = 0; k < 3; k++) {
        cross(vectors[(k + 1) % 3], vectors[(k + 2) % 3], dual[k]);
        const double volume = dot(vectors[k], dual[k]);
        if (!(std::abs(volume) >
              1e-8 * length(vectors[0]) * length(vectors[1]) * length(vectors[2])))
            return false;
        height[k] = std::abs(volume) / length(dual[k]);
        for (double& v : dual[k]) v /= volume;
    }
    return true;
}

void Lattice::fold(const double* position, double* inside, double* fraction) const {
    std::copy(position, position + 3, inside);
    for (int k = 0; k < 3; k++) {
        const double f = dot(dual[k], position), turns = periodic[k] ? std::floor(f) : 0.0;
        fraction[k] = f - turns;
        for (int d = 0; d < 3; d++) inside[d] -= turns * vectors[k][d];
    }
}

}  // namespace ace
