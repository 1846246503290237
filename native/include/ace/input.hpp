// What callers hand over, checked before an evaluator trusts it, and what they get back.
#pragma once
#include "ace/evaluator.hpp"

namespace ace {

// Throws Error on a number of threads that no machine has.
void check_threads(int threads);

// Throws Error on null arrays, impossible counts, list entries out of range and, with a list,
// positions that are not finite. (With a cell the cell list looks at positions, and the evaluator
// always looks at species.) The length of `neighbours` is the caller's word.
void check_input(const Structure& in, int threads);

// Throws Error on energies, forces or virials that are not finite: coefficients too large, or
// atoms so close that powers overflow.
void check_results(const Structure& in, const Results& out);

// Nothing in the results is a number.
void no_results(const Structure& in, const Results& out);

// The same of values of sites, [atoms][rows].
void check_values(const Structure& in, int rows, const double* values);
void no_values(const Structure& in, int rows, double* values);

}  // namespace ace
