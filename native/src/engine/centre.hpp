// What the engine reads for one central species: its plan, and the radial tables in the order of
// the plan's columns.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "ace/errors.hpp"
#include "ace/plan.hpp"
#include "ace/tables.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// One source for one neighbour species. Wide: rows [bin][padded / W][6][W];
// narrow: [bin][column][narrow_row]. One more bin holds zeros.
template <class T>
struct Interval {
    double begin, inverse, limit;  // limit: the last knot, in steps of 1/inverse from `begin`
    double silent;                 // from this place on every column is zero
    T scale;                       // of slopes, to the spacing of the first source
    bool refuse;                   // pairs closer than `begin` are an error
    const T* rows;
    const Knots* knots;            // null: bin after bin, all of length 1
};

// Room of the six coefficients of a narrow column: what one transposition reads.
template <class T>
constexpr int narrow_row = Simd<T>::W > 8 ? Simd<T>::W : 8;

template <class T, class A = T>
struct Centre {
    Plan plan;
    std::vector<A> norms, pull_norms, clebsch_gordan;
    // As plan.coefficients, densities_at_once densities after the other.
    std::vector<std::vector<std::vector<A>>> coefficients;
    // Of a linear model with a committee: densities_at_once outputs after the other, as if they were
    // densities.
    std::vector<std::vector<A>> bundles;
    std::vector<std::vector<Interval<T>>> intervals;  // [source][neighbour]

    // Vectors of T have as many lanes as those of A, or twice as many.
    static Widths widths() {
        return {Simd<T>::W, tile_radials, tile_components, pull_components};
    }

    Centre(const Tables& tables, int centre)
        : Centre(Plan(tables, centre, widths()), tables, centre) {}

    Centre(Plan made, const Tables& tables, int centre)
        : plan(std::move(made)),
          norms(plan.norms.begin(), plan.norms.end()),
          pull_norms(plan.pull_norms.begin(), plan.pull_norms.end()),
          clebsch_gordan(plan.clebsch_gordan.begin(), plan.clebsch_gordan.end()) {
        for (std::vector<double>& c : plan.coefficients) {
            coefficients.emplace_back();
            for (int p = 0; p < tables.densities; p += densities_at_once)
                coefficients.back().push_back(some_of(c, tables.densities, p));
            std::vector<double>().swap(c);
        }
        if (!tables.embeddings.present && tables.outputs > 1)
            for (int o = 0; o < tables.outputs; o += densities_at_once)
                bundles.push_back(bundle(o, std::min(tables.outputs, o + densities_at_once)));
        for (const Source& source : plan.sources) {
            intervals.emplace_back();
            for (int z = 0; z < tables.species; z++) add(tables, centre, source, z);
        }
    }

  private:
    std::vector<std::unique_ptr<Scratch<T>>> storage_;
    std::vector<std::unique_ptr<const Knots>> knots_;

    static std::vector<A> some_of(const std::vector<double>& c, int densities, int first) {
        const int end = std::min(densities, first + densities_at_once);
        std::vector<A> out;
        for (size_t k = 0; k < c.size(); k += densities)
            for (int p = first; p < end; p++) out.push_back(static_cast<A>(c[k + p]));
        return out;
    }

    std::vector<A> bundle(int begin, int end) const {
        std::vector<A> out;
        for (size_t k = 0; k < coefficients[0][0].size(); k++)
            for (int o = begin; o < end; o++) out.push_back(coefficients[o][0][k]);
        return out;
    }

    void add(const Tables& tables, int centre, const Source& source, int z) {
        const RadialTable& grid = source.grid < 0 ? tables.core[0] : tables.radial[source.grid];
        const int pair = centre * tables.species + z, bins = grid.count[pair];
        const size_t size = static_cast<size_t>(source.padded) * (source.narrow ? narrow_row<T> : 6);
        if ((bins + 1) * size > static_cast<size_t>(INT32_MAX))
            throw Error("tables: a radial table is too large");
        storage_.push_back(std::make_unique<Scratch<T>>());
        constexpr int W = Simd<T>::W;
        storage_.back()->zero((bins + 1) * size);
        T* rows = storage_.back()->data();
        std::vector<bool> alike;  // tables on the grid of this source
        for (const RadialTable& t : tables.radial)
            alike.push_back(source.grid >= 0 && t.same_grid(grid));
        for (size_t c = 0; c < source.columns.size(); c++)
            for (int bin = 0; bin < bins; bin++)
                for (int k = 0; k < 6; k++)
                    rows[bin * size + (source.narrow ? c * narrow_row<T> + k
                                                     : (c / W * 6 + k) * W + c % W)] =
                        static_cast<T>(value(tables, alike, source.columns[c], pair, z, bin, k));
        int silent = bins;
        while (silent > 0 && std::all_of(rows + (silent - 1) * size, rows + silent * size,
                                         [](T v) { return v == T(0); }))
            silent--;
        const double inverse = 1.0 / grid.spacing[pair];
        const double first = intervals.size() == 1 ? inverse : intervals[0][z].inverse;
        knots_.push_back(grid.knots.empty() ? nullptr : std::make_unique<const Knots>(grid, pair));
        intervals.back().push_back({grid.begin[pair], inverse, grid.knot(pair, bins),
                                    grid.knot(pair, silent), static_cast<T>(inverse / first),
                                    !grid.zero_inside[pair], rows, knots_.back().get()});
    }

    double value(const Tables& tables, const std::vector<bool>& alike, const Column& column,
                 int pair, int z, int bin, int k) const {
        if (column.kind == Column::core) return tables.core[0].row(pair, bin)[k];
        if (column.kind == Column::channel) {
            const RadialTable& t = tables.radial[column.table];
            return t.row(pair, bin)[k * t.channels + column.index];
        }
        double sum = 0;
        for (const Fold& fold : plan.folds) {
            const RadialTable& t = tables.radial[fold.table];
            if (fold.species != z || !alike[fold.table]) continue;
            sum += fold.weight[column.index] * t.row(pair, bin)[k * t.channels + fold.channel];
        }
        return sum * 0.28209479177387814;  // Y_00
    }
};

}  // namespace ace::ACE_ISA
