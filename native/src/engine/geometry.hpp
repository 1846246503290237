// The neighbours of one atom, in order and as unit vectors.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ace/cells.hpp"
#include "engine/search.hpp"
#include "engine/simd.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// Shells of equal area by which neighbours are sorted.
constexpr int shells = 64;

ACE_INLINE Simd<double>::V reciprocal_root(Simd<double>::V square) {
#if defined(__AVX512F__)
    Simd<double>::V y = (Simd<double>::V)_mm512_maskz_rsqrt14_pd(0xff, (__m512d)square);
    const Simd<double>::V half = square * 0.5;
    for (int k = 0; k < 3; k++) y = y * (1.5 - half * y * y);
    return y;
#elif defined(__AVX2__)
    return 1.0 / (Simd<double>::V)_mm256_sqrt_pd((__m256d)square);
#else
    Simd<double>::V root;
    for (int q = 0; q < Simd<double>::W; q++) root[q] = std::sqrt(square[q]);
    return 1.0 / root;
#endif
}

// Neighbours by species and, roughly, by distance, so that a vector of them reads rows of the
// tables that are close; the last vector of each species is filled up. Returns their number.
template <class T, class A>
size_t sort(Workspace<T, A>& w, int count, int species, double cutoff, Neighbourhood<T>& atom) {
    Found &from = w.found, &to = w.sorted;
    constexpr int W = Simd<T>::W;
    const double step = shells * 0.999999 / (cutoff * cutoff);
    w.keys.need(count);
    w.places.zero(static_cast<size_t>(species) * shells);
    int32_t *key = w.keys.data(), *place = w.places.data();
    const double *fx = from.x.data(), *fy = from.y.data(), *fz = from.z.data();
    for (int k = 0; k < count; k++)
        key[k] = static_cast<int32_t>((fx[k] * fx[k] + fy[k] * fy[k] + fz[k] * fz[k]) * step);
    if (species > 1)
        for (int k = 0; k < count; k++) key[k] += shells * from.species[k];
    for (int k = 0; k < count; k++) place[key[k]]++;
    double *tx = to.x.data(), *ty = to.y.data(), *tz = to.z.data();
    int32_t *owner = to.owner.data();
    int at = 0;
    atom.groups.resize(species + 1);
    atom.groups[0] = 0;
    for (int z = 0; z < species; z++) {
        for (int k = z * shells; k < (z + 1) * shells; k++) {
            const int here = place[k];
            place[k] = at;
            at += here;
        }
        for (; at % W; at++) {
            tx[at] = ty[at] = 0.0;
            tz[at] = far_away;
            owner[at] = atom.index;
        }
        atom.groups[z + 1] = at / W;
    }
    for (int k = 0; k < count; k++) {
        const int p = place[key[k]]++;
        tx[p] = fx[k];
        ty[p] = fy[k];
        tz[p] = fz[k];
        owner[p] = from.owner[k];
    }
    return at;
}

template <class T>
void need_radial(Neighbourhood<T>& atom, size_t vectors) {
    atom.radial.need(vectors);
    atom.slope.need(vectors);
}

// Finds the neighbours of an atom and makes room for their radial functions.
template <class T, class A>
void geometry(Workspace<T, A>& w, int species, double cutoff, int columns,
              Neighbourhood<T>& atom) {
    constexpr int W = Simd<T>::W;
    const Piece& piece = *atom.piece;
    const int count =
        piece.in->first ? search_list(*piece.in, atom.index, cutoff, w.found)
                        : search_cells(piece, atom.index, cutoff, species > 1, w.runs, w.found);
    if (static_cast<size_t>(count) > most_neighbours)
        crowded(piece.original(atom.index), count, cutoff);
    const size_t room = (static_cast<size_t>(count) / W + species + 1) * W;
    w.sorted.need(room);
    const size_t at = sort(w, count, species, cutoff, atom);
    for (Scratch<T>* s : {&atom.x, &atom.y, &atom.z, &atom.inverse}) s->need(room);
    atom.distance.need(room);
    atom.neighbour.need(room);
    std::memcpy(atom.neighbour.data(), w.sorted.owner.data(), at * sizeof(int32_t));
    need_radial(atom, at / W * columns);
    using D = Simd<double>;
    for (size_t k = 0; k < at; k += D::W) {
        const D::V x = D::load(&w.sorted.x[k]), y = D::load(&w.sorted.y[k]);
        const D::V z = D::load(&w.sorted.z[k]);
        const D::V square = x * x + y * y + z * z, inverse = reciprocal_root(square);
        put(&atom.x[k], x * inverse);
        put(&atom.y[k], y * inverse);
        put(&atom.z[k], z * inverse);
        put(&atom.inverse[k], inverse);
        D::store(&atom.distance[k], square * inverse);
    }
}

// Distances of a vector of neighbours.
template <class T>
ACE_INLINE typename Simd<T>::V distances(const double* from) {
    using S = Simd<T>;
    using V = typename S::V;
    constexpr int W = S::W;
    V out;
    if constexpr (W == Simd<double>::W) {
        out = Simd<double>::load(from);
    } else {
        T both[W];
        for (int h = 0; h < W; h += Simd<double>::W) put(both + h, Simd<double>::load(from + h));
        out = S::load(both);
    }
    return out;
}

}  // namespace ace::ACE_ISA
