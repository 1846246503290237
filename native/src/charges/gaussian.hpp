// The interaction of Gaussian charges without an error function in the loop.
#pragma once

namespace ace {

// erf(sqrt u)/sqrt u = (2/sqrt pi) F_0(u), the first Boys function, by its Taylor series about the
// middles of intervals of a sixteenth: its derivatives are -F_1, F_2, -F_3, ... (Boys, Proc. R. Soc.
// Lond. A 200, 542 (1950)). Beyond u = 36 the error function is 1 to 2e-17.
struct BoysTable {
    BoysTable();
    static constexpr double end = 36.0, per_unit = 16.0;
    static constexpr int degree = 7, intervals = 576;
    double coefficients[intervals][degree + 1];
};

extern const BoysTable boys;

// Atoms by their coordinates, and something along them.
struct Columns3 {
    const double *x, *y, *z;
};

// Loops over many pairs, for one instruction set.
struct PairLoops {
    // Squares of the distances of so many atoms from a place, by coordinates.
    void (*squares)(int count, const double* from, Columns3 atoms, double* square);
    // erf(r/gamma)/r and its derivative by r over r, by r^2 and 1/gamma^2.
    void (*interactions)(int count, const double* square, const double* inverse, double* value,
                         double* slope);
    // With c = slope (l right + r left) and v from atoms to a place: c v is added to `to` of the
    // atoms and to sums 0 to 2, c v (x) v by xx, yy, zz, yz, xz, xy to sums 3 to 8.
    void (*pull)(int count, const double* slope, const double* from, Columns3 atoms, double l,
                 double r, const double* left, const double* right, double* const* to,
                 double* sums);
};

// For the best instruction set here.
const PairLoops& pair_loops();

// 1/gamma^2 of widths whose squares add up to `squares`. Points have a number that is large enough
// for any distance between atoms and no infinity.
inline double inverse_width(double squares) { return squares > 5e-201 ? 1 / (2 * squares) : 1e200; }

}  // namespace ace
