// Neighbours of one atom out of the cell list or a caller's list.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "engine/piece.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// Where found neighbours go: vectors to them in angstrom, their numbers, their species.
struct Found {
    Scratch<double> x, y, z;
    Scratch<int32_t> owner, species;
    void need(size_t room) {
        for (Scratch<double>* s : {&x, &y, &z}) s->need(room);
        owner.need(room);
        species.need(room);
    }
};

// Squares of distances at which two atoms count as being at the same point.
constexpr double tiny = 1e-30;

[[noreturn]] inline void coincide(int i, int j) {
    throw Error("positions: atoms # and # sit at the same point", std::min(i, j), std::max(i, j),
                Fault::too_close);
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// Lanes to move to the front for each of the 16 sets of lanes to keep.
struct Compress {
    alignas(32) int32_t doubles[16][8], ints[16][4];
    constexpr Compress() : doubles(), ints() {
        for (int set = 0; set < 16; set++)
            for (int q = 0, to = 0; q < 4; q++)
                if (set >> q & 1) {
                    doubles[set][2 * to] = 2 * q;
                    doubles[set][2 * to + 1] = 2 * q + 1;
                    ints[set][to++] = q;
                }
    }
};
constexpr Compress compress;
#endif

// Points of one run that are within the cut-off; returns how many there are now, and counts
// those at no distance in `same`.
inline int search_run(const Cells& cells, Run run, const double* at, double limit, bool species,
                      Found& to, int count, int& same) {
    const double *px = cells.x.data(), *py = cells.y.data(), *pz = cells.z.data();
    const int32_t *owner = cells.owner.data(), *kind = cells.species.data();
    double *rx = to.x.data(), *ry = to.y.data(), *rz = to.z.data();
    int32_t *found = to.owner.data(), *found_kind = to.species.data();
#if defined(__AVX512F__)
    const __m512d ax = _mm512_set1_pd(at[0]), ay = _mm512_set1_pd(at[1]), az = _mm512_set1_pd(at[2]);
    const __m512d far = _mm512_set1_pd(limit), same_point = _mm512_set1_pd(tiny);
    for (int p = run.begin; p < run.end; p += 8) {
        const __mmask8 tail = run.end - p >= 8 ? 0xff : (1u << (run.end - p)) - 1;
        const __m512d dx = _mm512_sub_pd(_mm512_loadu_pd(px + p), ax);
        const __m512d dy = _mm512_sub_pd(_mm512_loadu_pd(py + p), ay);
        const __m512d dz = _mm512_sub_pd(_mm512_loadu_pd(pz + p), az);
        const __m512d square =
            _mm512_fmadd_pd(dx, dx, _mm512_fmadd_pd(dy, dy, _mm512_mul_pd(dz, dz)));
        const __mmask8 near = _mm512_mask_cmp_pd_mask(tail, square, far, _CMP_LT_OQ);
        const __mmask8 apart = _mm512_mask_cmp_pd_mask(near, square, same_point, _CMP_GT_OQ);
        same += __builtin_popcount(near ^ apart);
        _mm512_storeu_pd(rx + count, _mm512_maskz_compress_pd(apart, dx));
        _mm512_storeu_pd(ry + count, _mm512_maskz_compress_pd(apart, dy));
        _mm512_storeu_pd(rz + count, _mm512_maskz_compress_pd(apart, dz));
        const auto put = [&](int32_t* out, const int32_t* from) {
            const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + p));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + count),
                                _mm256_maskz_compress_epi32(apart, values));
        };
        put(found, owner);
        if (species) put(found_kind, kind);
        count += __builtin_popcount(apart);
    }
#elif defined(__AVX2__)
    const __m256d ax = _mm256_set1_pd(at[0]), ay = _mm256_set1_pd(at[1]), az = _mm256_set1_pd(at[2]);
    const __m256d far = _mm256_set1_pd(limit), same_point = _mm256_set1_pd(tiny);
    for (int p = run.begin; p < run.end; p += 4) {
        const unsigned tail = run.end - p >= 4 ? 0xf : (1u << (run.end - p)) - 1;
        const __m256d dx = _mm256_sub_pd(_mm256_loadu_pd(px + p), ax);
        const __m256d dy = _mm256_sub_pd(_mm256_loadu_pd(py + p), ay);
        const __m256d dz = _mm256_sub_pd(_mm256_loadu_pd(pz + p), az);
        const __m256d square =
            _mm256_fmadd_pd(dx, dx, _mm256_fmadd_pd(dy, dy, _mm256_mul_pd(dz, dz)));
        const unsigned near =
            tail & unsigned(_mm256_movemask_pd(_mm256_cmp_pd(square, far, _CMP_LT_OQ)));
        const unsigned apart =
            near & unsigned(_mm256_movemask_pd(_mm256_cmp_pd(square, same_point, _CMP_GT_OQ)));
        same += __builtin_popcount(near ^ apart);
        const __m256i front =
            _mm256_load_si256(reinterpret_cast<const __m256i*>(compress.doubles[apart]));
        const auto put = [&](double* out, __m256d d) {
            const __m256 moved = _mm256_permutevar8x32_ps(_mm256_castpd_ps(d), front);
            _mm256_storeu_pd(out + count, _mm256_castps_pd(moved));
        };
        put(rx, dx);
        put(ry, dy);
        put(rz, dz);
        const __m128i first =
            _mm_load_si128(reinterpret_cast<const __m128i*>(compress.ints[apart]));
        const auto put_int = [&](int32_t* out, const int32_t* from) {
            const __m128 values = _mm_loadu_ps(reinterpret_cast<const float*>(from + p));
            _mm_storeu_ps(reinterpret_cast<float*>(out + count), _mm_permutevar_ps(values, first));
        };
        put_int(found, owner);
        if (species) put_int(found_kind, kind);
        count += __builtin_popcount(apart);
    }
#else
    for (int p = run.begin; p < run.end; p++) {
        const double dx = px[p] - at[0], dy = py[p] - at[1], dz = pz[p] - at[2];
        const double square = dx * dx + dy * dy + dz * dz;
        rx[count] = dx;
        ry[count] = dy;
        rz[count] = dz;
        found[count] = owner[p];
        if (species) found_kind[count] = kind[p];
        same += square <= tiny;
        count += square < limit && square > tiny;
    }
#endif
    return count;
}

// Room for what the vector stores write beyond the last neighbour.
constexpr int search_room = 16;

inline int search_cells(const Piece& piece, int atom, double cutoff, bool species,
                        std::vector<Run>& runs, Found& to) {
    const Cells& cells = piece.cells;
    cells.runs(atom, runs);
    size_t room = search_room;
    for (const Run& run : runs) room += run.end - run.begin;
    // The runs are longer than the ball that they cover.
    if (room > 8 * most_neighbours)
        crowded(piece.original(atom), static_cast<double>(room), 2 * cutoff);
    to.need(room);
    const int self = cells.place(atom);
    const double at[3] = {cells.x[self], cells.y[self], cells.z[self]};
    int count = 0, same = 0;
    for (const Run& run : runs)
        count = search_run(cells, run, at, cutoff * cutoff, species, to, count, same);
    if (same != 1) {
        for (const Run& run : runs)
            for (int p = run.begin; p < run.end; p++)
                if (const double x = cells.x[p] - at[0], y = cells.y[p] - at[1],
                    z = cells.z[p] - at[2];
                    p != self && x * x + y * y + z * z <= tiny)
                    coincide(piece.original(atom), cells.original(cells.owner[p]));
        throw Error("positions: atom # cannot be told apart from another", piece.original(atom), -1,
                    Fault::too_close);
    }
    return count;
}

inline int search_list(const Structure& in, int i, double cutoff, Found& to) {
    const int64_t begin = in.first[i], end = in.first[i + 1];
    to.need(static_cast<size_t>(end - begin) + search_room);
    const double limit = cutoff * cutoff, *at = in.positions + 3 * static_cast<size_t>(i);
    int count = 0;
    for (int64_t k = begin; k < end; k++) {
        const int j = in.neighbours[k];
        const double* p = in.positions + 3 * static_cast<size_t>(j);
        const double dx = p[0] - at[0], dy = p[1] - at[1], dz = p[2] - at[2];
        const double square = dx * dx + dy * dy + dz * dz;
        to.x[count] = dx;
        to.y[count] = dy;
        to.z[count] = dz;
        to.owner[count] = j;
        to.species[count] = in.species[j];
        if (!(square > tiny)) coincide(i, j);
        count += square < limit;
    }
    return count;
}

}  // namespace ace::ACE_ISA
