// The derivatives of all functions in the A's of one family: sums over the pattern's columns.
// Included by rows/engine.hpp.
#pragma once

// sum += weight row, group by group.
template <int groups, int width, class Weight>
ACE_INLINE void add(const Weight& weight, int p, const V* row, V* sum) {
#pragma GCC unroll 4
    for (int g = 0; g < groups; g++) {
        const V c = weight(p, g);
#pragma GCC unroll 9
        for (int q = 0; q < width; q++) sum[q] += c * row[g * width + q];
    }
}

// Rows of `groups` times `width` vectors, one for every column. A weight is one vector for a group;
// `to` takes the sum over the groups of every function's derivative. A result that others are
// taken from stays in registers meanwhile.
template <int groups, int width, int stride, class Weight, class To>
ACE_INLINE void walk(const Pattern& pattern, V* rows, const Weight& weight, const To& to) {
    constexpr int size = groups * width;
    const int *column = pattern.column.data(), *function = pattern.function.data();
    int p = pattern.weights;
    const Result* result = pattern.results.data();
    const Result* const parents = result + pattern.parents;
    const Result* const end = result + pattern.results.size();
    for (; result < parents; result++) {
        V sum[size] = {};
        for (int k = 0; k < result->columns; k++, p++) {
            const V* row = rows + static_cast<size_t>(*column++) * stride;
#pragma GCC unroll 4
            for (int g = 0; g < groups; g++) {
                const V c = weight(p, g);
#pragma GCC unroll 9
                for (int q = 0; q < width; q++) sum[g * width + q] += c * row[g * width + q];
            }
        }
        if (result->place >= 0) {
            V* kept = rows + static_cast<size_t>(result->place) * stride;
#pragma GCC unroll 12
            for (int q = 0; q < size; q++) kept[q] = sum[q];
        }
        V own[width];
        to.begin(result->function, own);
#pragma GCC unroll 12
        for (int q = 0; q < size; q++) own[q % width] += sum[q];
        to.end(result->function, own);
        for (int k = 0; k < result->multiples; k++, p++, function++) {
            to.begin(*function, own);
            add<groups, width>(weight, p, sum, own);
            to.end(*function, own);
        }
        for (int k = 0; k < result->products; k++, p += 2, function++) {
            to.begin(*function, own);
            add<groups, width>(weight, p, rows + static_cast<size_t>(*column++) * stride, own);
            add<groups, width>(weight, p + 1, sum, own);
            to.end(*function, own);
        }
    }
    for (; result < end; result++) {
        V own[width];
        to.begin(result->function, own);
        for (int k = 0; k < result->columns; k++, p++)
            add<groups, width>(weight, p, rows + static_cast<size_t>(*column++) * stride, own);
        to.end(result->function, own);
    }
}

// Weights of some sites, one number for all lanes.
template <int sites>
struct SiteWeights {
    const double* of[sites];
    ACE_INLINE V operator()(int p, int site) const { return V{} + of[site][p]; }
};

// Weights of the atoms in the lanes.
struct LaneWeights {
    const V* of;
    ACE_INLINE V operator()(int p, int) const { return of[p]; }
};

// To the force rows of a block, [function][xyz].
struct ToForces {
    V* forces;
    ACE_INLINE void begin(int function, V* sum) const {
        const V* from = forces + static_cast<size_t>(3) * function;
#pragma GCC unroll 3
        for (int q = 0; q < 3; q++) sum[q] = from[q];
    }
    ACE_INLINE void end(int function, const V* sum) const {
        V* out = forces + static_cast<size_t>(3) * function;
#pragma GCC unroll 3
        for (int q = 0; q < 3; q++) out[q] = sum[q];
    }
};

// The sums over all neighbours, from moment `first` on: to the virial, [function][virial_vectors]
// with the lanes summed up, and to the forces on the central atoms.
template <int first>
struct ToWhole {
    V *virial, *forces;  // the latter null if not wanted
    const int* number;   // of a function among those of the species
    ACE_INLINE void begin(int, V* sum) const {
#pragma GCC unroll 9
        for (int q = 0; q < moment_count - first; q++) sum[q] = V{};
    }
    ACE_INLINE void end(int function, const V* sum) const {
        if (forces) {
            V* out = forces + static_cast<size_t>(3) * number[function];
#pragma GCC unroll 3
            for (int q = 0; q < 3; q++) out[q] += sum[moment_move - first + q];
        }
        if constexpr (first == 0) {
            V* all = virial + static_cast<size_t>(function) * virial_vectors;
            V padded[virial_vectors * W] = {};
#pragma GCC unroll 6
            for (int q = 0; q < moment_move; q++) padded[q] = sum[q];
#pragma GCC unroll 3
            for (int v = 0; v < virial_vectors; v++) all[v] += lane_sums<W>(padded + v * W);
        }
    }
};
