// R and dR/du of vectors of neighbours from the quintic tables.
#pragma once
#include <string>

#include "ace/errors.hpp"
#include "ace/plan.hpp"
#include "engine/centre.hpp"
#include "engine/simd.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

template <class T>
struct Radial {
    static constexpr int W = Simd<T>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using Atom = Neighbourhood<T>;

    // The first vector from which on a narrow source has nothing: neighbours come by distance.
    static int end_of(const Source& source, const Interval<T>& t, Atom& atom, int z) {
        using D = Simd<double>;
        int end = atom.groups[z + 1];
        if (!source.narrow) return end;
        const double silent = t.begin + t.silent / t.inverse;
        for (; end > atom.groups[z]; end--)
            for (int h = 0; h < W; h += D::W)
                if (below(D::load(&atom.distance[static_cast<size_t>(end - 1) * W + h]), silent))
                    return end;
        return end;
    }

    // Bins of the table and places within them; false if all of them are zero.
    static ACE_INLINE bool locate(const Source& source, const Interval<T>& t, Atom& atom, int v,
                                  Located<T>& to) {
        using D = Simd<double>;
        typedef int32_t Bins __attribute__((vector_size(BYTES / 2), may_alias));
        const int32_t size = source.padded * (source.narrow ? narrow_row<T> : 6);
        unsigned some = 0;
#pragma GCC unroll 2
        for (int h = 0; h < W; h += D::W) {
            const size_t at = static_cast<size_t>(v) * W + h;
            D::V place = (D::load(&atom.distance[at]) - t.begin) * t.inverse;
            if (const unsigned inside = below(place, 0.0))
                for (int q = 0; q < D::W; q++)
                    if (inside >> q & 1) {
                        if (t.refuse) too_close(atom, at + q, t.begin);
                        place[q] = t.limit;
                    }
            some |= below(place, t.silent);
            place = place < t.limit ? place : D::set(t.limit);
            if (t.knots) {
                for (int q = 0; q < D::W; q++) {
                    const int bin = t.knots->bin(place[q]);
                    place[q] -= t.knots->at[bin];
                    to.at[h + q] = bin * size;
                }
                put(to.u + h, place);
                continue;
            }
            const Bins bins = __builtin_convertvector(place, Bins);
            put(to.u + h, place - __builtin_convertvector(bins, D::V));
            *reinterpret_cast<Bins*>(to.at + h) = bins * size;
        }
        return some != 0;
    }

    // With the values, the slopes, or both.
    template <bool values, bool slopes>
    static void wide(int columns, const Interval<T>& t, const Located<T>* located, int count) {
        for (int a = 0; a < count; a++) {
            const Located<T>& here = located[a];
            const T* c[W];
            V x[W];
#pragma GCC unroll 16
            for (int q = 0; q < W; q++) {
                c[q] = t.rows + here.at[q];
                x[q] = S::set(here.u[q]);
            }
            V *value = here.value, *slope = here.slope;
            for (int k = 0; k < columns; k += W, value += W, slope += W) {
                V f[W], d[W];
#pragma GCC unroll 16
                for (int q = 0; q < W; q++) {
                    const T* at = c[q] + 6 * k;
                    V p = S::load(at + 5 * W), g = p;
                    p = p * x[q] + S::load(at + 4 * W);
#pragma GCC unroll 4
                    for (int power = 3; power >= 0; power--) {
                        if (slopes) g = g * x[q] + p;
                        if (values || power > 0) p = p * x[q] + S::load(at + power * W);
                    }
                    f[q] = p;
                    d[q] = g;
                }
                if (values) {
                    S::transpose(f);
#pragma GCC unroll 16
                    for (int q = 0; q < W; q++) value[q] = f[q];
                }
                if (!slopes) continue;
                S::transpose(d);
                if (t.scale != 1)
                    for (int q = 0; q < W; q++) d[q] *= t.scale;
#pragma GCC unroll 16
                for (int q = 0; q < W; q++) slope[q] = d[q];
            }
        }
    }

    // The slope of the sum of columns times weights, from sums of their coefficients.
    static ACE_INLINE V weighted_slope(int columns, const Interval<T>& t, const Located<T>& here,
                                       const T* weights) {
        V slopes[W];
        for (int q = 0; q < W; q += 2) {
            const T *one = t.rows + here.at[q], *two = t.rows + here.at[q + 1];
            V sum[2][5] = {};
            for (int k = 0; k < columns; k += W, one += 6 * W, two += 6 * W) {
                const V w = S::load(weights + k);
#pragma GCC unroll 5
                for (int power = 0; power < 5; power++) {
                    sum[0][power] += w * S::load(one + (power + 1) * W);
                    sum[1][power] += w * S::load(two + (power + 1) * W);
                }
            }
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                const V x = S::set(here.u[q + h]);
                slopes[q + h] = sum[h][4] * T(5);
#pragma GCC unroll 4
                for (int power = 3; power >= 0; power--)
                    slopes[q + h] = slopes[q + h] * x + sum[h][power] * T(power + 1);
            }
        }
        return S::sums(slopes) * t.scale;
    }

    // Adds to the sums of columns the slopes of a vector of neighbours times a factor of each.
    static ACE_INLINE void add_slopes(int columns, const Interval<T>& t, const Located<T>& here,
                                      V factor, V* sums) {
        factor *= t.scale;
        for (int q = 0; q < W; q += 2) {
            const T *one = t.rows + here.at[q], *two = t.rows + here.at[q + 1];
            V f[2][5];
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                T power = factor[q + h];
#pragma GCC unroll 5
                for (int p = 0; p < 5; p++, power *= here.u[q + h])
                    f[h][p] = S::set(power * T(p + 1));
            }
            for (int k = 0; k < columns; k += W, one += 6 * W, two += 6 * W) {
                V first = sums[k / W], second = {};
#pragma GCC unroll 5
                for (int p = 0; p < 5; p++) {
                    first += f[0][p] * S::load(one + (p + 1) * W);
                    second += f[1][p] * S::load(two + (p + 1) * W);
                }
                sums[k / W] = first + second;
            }
        }
    }

    static void narrow(int columns, const Interval<T>& t, const Located<T>* located, int count) {
        for (int a = 0; a < count; a++) {
            const Located<T>& here = located[a];
            const V x = S::load(here.u);
            for (int k = 0; k < columns; k++) {
                V c[narrow_row<T>];
#pragma GCC unroll 4
                for (int part = 0; part < narrow_row<T>; part += W) {
#pragma GCC unroll 16
                    for (int q = 0; q < W; q++)
                        c[part + q] = S::load(t.rows + here.at[q] + k * narrow_row<T> + part);
                    S::transpose(c + part);
                }
                V p = c[5] * x + c[4], g = c[5];
#pragma GCC unroll 4
                for (int power = 3; power >= 0; power--) {
                    g = g * x + p;
                    p = p * x + c[power];
                }
                here.value[k] = p;
                here.slope[k] = g * t.scale;
            }
        }
    }

    [[noreturn]] static void too_close(Atom& atom, size_t k, double begin) {
        throw Error("atoms # and # are " + std::to_string(atom.distance[k]) +
                        " A apart; this model's tables begin at " + std::to_string(begin) + " A",
                    atom.piece->original(atom.index), atom.piece->original(atom.neighbour[k]),
                    Fault::too_close);
    }
};

}  // namespace ace::ACE_ISA
