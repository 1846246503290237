// The instruction set that a file is compiled for, and what depends on it. Everything of the engine
// is in a namespace of that name.
#pragma once
#ifndef ACE_ISA  // a header by itself
#define ACE_ISA baseline
#define ACE_ISA_NAME "baseline"
#endif

#include "ace/limits.hpp"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define ACE_INLINE inline __attribute__((always_inline))
#define ACE_LAMBDA __attribute__((always_inline))

namespace ace::ACE_ISA {

// Bytes of a vector, and what keeps its sums in registers: the largest tile of A's and of
// adjoints, and sums in the bilinear form.
#if defined(__AVX512F__)
constexpr int BYTES = 64, tile_radials = 5, tile_components = 5, pull_components = 6, most_sums = 24;
#elif defined(__AVX2__)
constexpr int BYTES = 32, tile_radials = 3, tile_components = 4, pull_components = 3, most_sums = 12;
#else
constexpr int BYTES = 16, tile_radials = 3, tile_components = 3, pull_components = 3, most_sums = 12;
#endif

constexpr int most_densities = 16, most_columns = 256;
// Densities that the product stage takes at once.
constexpr int densities_at_once = 4;

}  // namespace ace::ACE_ISA
