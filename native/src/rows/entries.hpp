// The derivatives of all functions in the A's of one family by entries: sums over rows of numbers
// that belong to A's, be they derivatives in neighbours, summed over images, or moments.
#pragma once
#include <cstddef>

#include "rows/plan.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

// Sums for N atoms (or batches of them) side by side, `width` numbers of each: `rows` holds
// `stride` for every column of the family, of which the first N x width are read, `slots` N x width
// for every slot. weight(p, n) is weight p for the atom n. `to` is given every result in turn, summed
// over n.
template <int N, int width, int stride, class Weight, class To>
ACE_INLINE void walk_entries(const Program& program, const Chunk& chunk, const Weight& weight,
                             const V* rows, V* slots, const To& to) {
    constexpr int size = N * width;
    const Entry* entry = program.entries.data() + chunk.first_entry;
    const Result* const end = program.results.data() + chunk.end_result;
    for (const Result* r = program.results.data() + chunk.first_result; r < end; r++) {
        V sum[size] = {};
        const auto add = [&](int p, const V* from) ACE_LAMBDA {
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                const V w = weight(p, n);
#pragma GCC unroll 9
                for (int q = 0; q < width; q++) sum[n * width + q] += w * from[n * width + q];
            }
        };
        for (const Entry* const last = entry + r->entries; entry < last; entry++)
            add(entry->weight, rows + size_t(stride) * entry->column);
        int p = r->weight;
        if (r->parent >= 0) add(p++, slots + size_t(size) * r->parent);
        if (r->column >= 0) add(p, rows + size_t(stride) * r->column);
        if (r->slot >= 0) {
            V* slot = slots + size_t(size) * r->slot;
#pragma GCC unroll 12
            for (int q = 0; q < size; q++) slot[q] = sum[q];
        }
#pragma GCC unroll 12
        for (int q = width; q < size; q++) sum[q % width] += sum[q];
        to(*r, sum);
    }
}

// -dB/dr of the same W atoms as neighbours of N others, summed over these: -dA/dr are
// rows [column][atom][xyz], weights those of the N atoms.
template <int N>
__attribute__((noinline)) void walk_images(const Program& program, const Chunk& chunk,
                                           const double* const* weights, const V* rows, V* slots,
                                           V* sums) {
    walk_entries<N, 3, 3 * N>(
        program, chunk, [&](int p, int n) ACE_LAMBDA { return S::set(weights[n][p]); }, rows,
        slots, [&](const Result&, const V* sum) ACE_LAMBDA {
#pragma GCC unroll 3
            for (int d = 0; d < 3; d++) sums[d] = sum[d];
            sums += 3;
        });
}

}  // namespace ace::ACE_ISA::rows
