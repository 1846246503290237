// Radial functions of vectors of neighbours.
#pragma once
#include <algorithm>
#include <cstddef>

#include "ace/tables.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

// One radial table of one ordered pair of species, its rows padded to whole vectors.
struct Grid {
    double begin, inverse, reach;  // the last is the square of the last knot
    int bins;
    bool refuse;                   // pairs closer than `begin` are an error
    int first, channels, padded;   // first channel, their number, and that in whole vectors
    double last;                   // t of the last knot
    Knots knots;                   // empty: bin after bin, all of length 1
    Scratch<V> rows;               // [bin][6][padded], and a bin of zeros

    Grid(const RadialTable& t, int pair, int first_channel)
        : begin(t.begin[pair]), inverse(1.0 / t.spacing[pair]), bins(t.count[pair]),
          refuse(!t.zero_inside[pair]), first(first_channel), channels(t.channels),
          padded((t.channels + W - 1) / W), last(t.knot(pair, t.count[pair])), knots(t, pair) {
        const double end = t.end(pair);
        reach = end * end;
        rows.zero((static_cast<size_t>(bins) + 1) * 6 * padded);
        double* to = reinterpret_cast<double*>(rows.data());
        for (int row = 0; row < 6 * bins; row++)
            std::copy_n(t.row(pair, row / 6) + static_cast<size_t>(row % 6) * channels, channels,
                        to + static_cast<size_t>(row) * padded * W);
    }

    // Tables are larger than the near caches, and a row of them is read once: it is asked for long
    // before.
    void prefetch(double r) const {
        const double t = (r - begin) * inverse;
        if (!(t >= 0 && t < last)) return;
        const int bin = bin_of(t);
        const char* row = reinterpret_cast<const char*>(rows.data() + size_t(bin) * 6 * padded);
        for (size_t b = 0; b < 6 * padded * sizeof(V); b += 64) __builtin_prefetch(row + b, 0, 2);
    }

    // Of a t within the table.
    int bin_of(double t) const { return knots.empty() ? static_cast<int>(t) : knots.bin(t); }

    // R/r and R' of all channels, to two places: [channel][2] and [channel][step][2]. Lanes are
    // channels first, then neighbours. What is out of reach reads the zeros.
    ACE_INLINE void evaluate(V r, V* to, V* also, size_t step) const {
        const V over = 1.0 / r;
        const V* row[W];
        V u[W];
        for (int k = 0; k < W; k++) {
            const double t = (r[k] - begin) * inverse;
            const bool within = t >= 0 && t < last;
            const int bin = within ? bin_of(t) : bins;
            u[k] = V{} + (within ? t - (knots.empty() ? bin : knots.at[bin]) : 0.0);
            row[k] = rows.data() + static_cast<size_t>(bin) * 6 * padded;
        }
        for (int c = 0; c < padded; c++) {
            V f[W], df[W];
#pragma GCC unroll 8
            for (int k = 0; k < W; k++) {
                f[k] = row[k][5 * padded + c];
                df[k] = V{};
            }
#pragma GCC unroll 5
            for (int n = 4; n >= 0; n--)
#pragma GCC unroll 8
                for (int k = 0; k < W; k++) {
                    df[k] = df[k] * u[k] + f[k];
                    f[k] = f[k] * u[k] + row[k][n * padded + c];
                }
            S::transpose(f);
            S::transpose(df);
            const int count = std::min(W, channels - c * W);
            for (int k = 0; k < count; k++, to += 2, also += 2 * step) {
                to[0] = also[0] = over * f[k];
                to[1] = also[1] = df[k] * inverse;
            }
        }
    }
};

}  // namespace ace::ACE_ISA::rows
