// What callers hand over, checked before an evaluator trusts it.
#pragma once
#include "ace/evaluator.hpp"

namespace ace {

// Throws Error on null arrays, impossible counts, list entries out of range and, with a list,
// positions that are not finite. (With a cell the cell list looks at positions, and the evaluator
// always looks at species.) The length of `neighbours` is the caller's word.
void check_input(const Structure& in, int threads);

}  // namespace ace
