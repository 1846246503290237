// The vectors of the row builder, which are always of double.
#pragma once
#include "engine/simd.hpp"

namespace ace::ACE_ISA::rows {

using namespace ace::rows;
using S = Simd<double>;
using V = S::V;
constexpr int W = S::W;

// Sums over the lanes of `count` vectors, as whole vectors of them.
template <int count>
ACE_INLINE void sum_lanes(V* t, V* out) {
    constexpr int whole = (count + W - 1) / W;
    for (int k = count; k < whole * W; k++) t[k] = V{};
#pragma GCC unroll 8
    for (int k = 0; k < whole; k++) out[k] = S::sums(t + k * W);
}

}  // namespace ace::ACE_ISA::rows
