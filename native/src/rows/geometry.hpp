// Neighbours of an atom with their radial functions and harmonics, and the sums over them.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "engine/search.hpp"
#include "rows/families.hpp"
#include "rows/harmonics.hpp"
#include "rows/moments.hpp"
#include "rows/plan.hpp"
#include "rows/radial.hpp"
#include "rows/tile.hpp"

namespace ace::ACE_ISA::rows {

class Geometry {
  public:
    Geometry(const Tables& tables, const std::vector<Family>& families)
        : tables_(tables), families_(families), harmonics_(tables.lmax),
          reaches_(static_cast<int>(families.size()) / tables.species),
          cutoff_(tables.longest_cutoff()) {
        const std::vector<int> number = ace::rows::reaches(tables);
        for (int pair = 0; pair < tables.species * tables.species; pair++) {
            grids_.emplace_back();
            squares_.emplace_back(reaches_, 0.0);
            channels_ = 0;
            for (size_t t = 0; t < tables.radial.size(); t++) {
                grids_.back().push_back(
                    std::make_unique<const Grid>(tables.radial[t], pair, channels_));
                channels_ += tables.radial[t].channels;
                double& square = squares_.back()[number[t]];
                square = std::max(square, grids_.back().back()->reach);
            }
        }
    }

    struct Work {
        std::vector<Run> runs;
        Found found;
        Scratch<V> vector;  // [xyz and r][q]
        Scratch<V> radial;  // R/r and R', [channel][q][2]
        Scratch<V> chosen;  // the same, of some q
        Scratch<Pieces> pieces;
    };

    // All points in reach of a table of their species.
    void collect(Site& site, const Piece& piece, const Order& order, Work& w) const {
        const int atom = order.sorted[site.place];
        const int count = search_cells(piece, atom, cutoff_, false, w.runs, w.found);
        if (static_cast<size_t>(count) > most_neighbours)
            crowded(piece.original(atom), count, cutoff_);
        for (std::vector<double>* v : {&site.x, &site.y, &site.z, &site.square}) v->resize(count);
        site.target.resize(count);
        size_t kept = 0;
        for (int k = 0; k < count; k++) {
            const double x = w.found.x[k], y = w.found.y[k], z = w.found.z[k];
            const int place = order.place[w.found.owner[k]];
            site.x[kept] = x;
            site.y[kept] = y;
            site.z[kept] = z;
            site.square[kept] = x * x + y * y + z * z;
            site.target[kept] = place;
            const double* ends = squares(order.species[site.place], order.species[place]);
            kept += site.square[kept] < *std::max_element(ends, ends + reaches_);
        }
        for (std::vector<double>* v : {&site.x, &site.y, &site.z, &site.square}) v->resize(kept);
        site.target.resize(kept);
    }

    void arrange(Tile& tile, const Order& order, const Slab& slab) const {
        tile.arrange(order, slab, tables_.species, reaches_,
                     [&](int centre, int z) { return squares(centre, z); });
    }

    // The records of a site.
    void fill(Site& site, const Piece& piece, const Order& order, Work& w) const {
        for (size_t k = 0; k < site.target.size(); k++) {
            const double r = std::sqrt(site.square[k]);
            for (const auto& g : grids(order.species[site.place], order.species[site.target[k]]))
                g->prefetch(r);
        }
        place(site, w);
        site.harmonics = harmonics_.size();
        site.record = 3 + static_cast<size_t>(site.harmonics) + 2 * channels_;
        site.records.need(site.vectors * site.record);
        w.radial.need(size_t(2) * channels_ * site.vectors);
        for (int q = 0; q < site.vectors; q++) {
            direct(site, q, w.vector.data());
            harmonics_.evaluate(site.unit(q), site.unit(q) + 3);
            radial(site, q, piece, order, w);
        }
    }

    // The sums of all A's of one atom of a batch, [column][atom][sum_vectors]; channels share what
    // belongs to lm.
    template <bool virial>
    __attribute__((noinline)) void sum(const Site& site, Work& w, V* sums) const {
        const size_t n = site.vectors, step = W * sum_vectors(virial);
        for (size_t f = 0; f < families_.size(); f++) {
            const Family& family = families_[f];
            const std::vector<int>& used = site.used[f];
            w.pieces.need(used.size());
            const V* values = radial_of(used, n, w);
            for (int l = 0, lm = 0; l <= family.lmax; l++) {
                const std::vector<Shell>& shells = family.by_l[l];
                for (int m = 0; m <= 2 * l; m++, lm++) {
                    pieces(harmonics_, site, used, l, lm, w.vector.data(), n, w.pieces.data());
                    const auto some = [&](auto constant, size_t first) {
                        constexpr int M = decltype(constant)::value;
                        const V* radial[M];
                        V* out[M];
                        for (int k = 0; k < M; k++) {
                            const Shell& shell = shells[first + k];
                            radial[k] = values + 2 * used.size() * shell.channel;
                            out[k] = sums + (family.begin + shell.column + m) * step;
                        }
                        moments<virial, M>(used.size(), radial, w.pieces.data(), out);
                    };
                    constexpr int many = shells_at_once(virial);
                    size_t k = 0;
                    for (; k + many <= shells.size(); k += many)
                        some(std::integral_constant<int, many>(), k);
                    for (; k < shells.size(); k++) some(std::integral_constant<int, 1>(), k);
                }
            }
        }
    }

    // The sums of the `count` atoms of a batch with the atoms in lanes: A's and moments.
    template <bool virial>
    __attribute__((noinline)) void turn(const V* sums, int count, V* a, V* moments) const {
        constexpr int vectors = sum_vectors(virial);
        constexpr int wanted = virial ? moment_count : moments_without_virial;
        for (const Family& family : families_)
            for (const Shell& shell : family.shells)
                for (int m = 0; m <= 2 * shell.l; m++) a[shell.v + m] = V{};
        for (const Family& family : families_)
            for (const Shell& shell : family.shells)
                for (int m = 0; m <= 2 * shell.l; m++, moments += moment_count) {
                    V turned[vectors * W];
                    for (int k = 0; k < vectors; k++) {
                        for (int q = 0; q < W; q++)
                            turned[k * W + q] = q < count ? sums[q * vectors + k] : V{};
                        S::transpose(turned + k * W);
                    }
                    a[shell.v + m] += turned[0];
                    for (int k = 0; k < wanted; k++) moments[k] = turned[1 + k];
                    sums += W * vectors;
                }
    }

    const Harmonics& harmonics() const { return harmonics_; }
    int reaches() const { return reaches_; }
    // A's of all families.
    int columns() const { return families_.back().begin + families_.back().columns; }

  private:
    const double* squares(int centre, int z) const {
        return squares_[centre * tables_.species + z].data();
    }
    const std::vector<std::unique_ptr<const Grid>>& grids(int centre, int z) const {
        return grids_[centre * tables_.species + z];
    }

    // R/r and R' of the vectors that are used: [channel][their number][2].
    const V* radial_of(const std::vector<int>& used, size_t vectors, Work& w) const {
        if (used.size() == vectors) return w.radial.data();
        w.chosen.need(2 * channels_ * used.size());
        V* to = w.chosen.data();
        for (int c = 0; c < channels_; c++)
            for (const int q : used)
                for (int d = 0; d < 2; d++) *to++ = w.radial[2 * (c * vectors + q) + d];
        return w.chosen.data();
    }

    // Coordinates into their lanes; empty lanes are out of any reach.
    static void place(const Site& site, Work& w) {
        const size_t n = site.vectors;
        w.vector.zero(4 * n);
        double* at = reinterpret_cast<double*>(w.vector.data());
        std::fill_n(at + 2 * n * W, n * W, 1e9);
        const std::vector<double>* from[3] = {&site.x, &site.y, &site.z};
        for (int d = 0; d < 3; d++)
            for (size_t k = 0; k < site.lane.size(); k++)
                at[d * n * W + site.lane[k]] = (*from[d])[k];
    }

    // The unit vectors and distances of vector q.
    static void direct(Site& site, int q, V* at) {
        const int n = site.vectors;
        const V x = at[q], y = at[n + q], z = at[2 * n + q], square = x * x + y * y + z * z;
        V r;
        for (int k = 0; k < W; k++) r[k] = std::sqrt(square[k]);
        const V inverse = 1.0 / r;
        V* unit = site.unit(q);
        at[3 * n + q] = r;
        unit[0] = x * inverse;
        unit[1] = y * inverse;
        unit[2] = z * inverse;
    }

    // R/r and R' of all channels for vector q.
    ACE_INLINE void radial(Site& site, int q, const Piece& piece, const Order& order,
                           Work& w) const {
        const size_t n = site.vectors;
        const V r = w.vector.data()[3 * n + q];
        V* to = site.radial(q);
        for (const auto& g : grids(order.species[site.place], site.species[q])) {
            for (int k = 0; k < W; k++)
                if (r[k] < g->begin && g->refuse) closer(site, piece, order, q * W + k, g->begin);
            g->evaluate(r, to + 2 * g->first, w.radial.data() + 2 * (g->first * n + q), n);
        }
    }

    // Refuses the neighbour in a lane.
    [[noreturn]] static void closer(const Site& site, const Piece& piece, const Order& order,
                                    int lane, double begin) {
        const size_t k =
            std::find(site.lane.begin(), site.lane.end(), lane) - site.lane.begin();
        throw Error("atoms # and # are " + std::to_string(std::sqrt(site.square[k])) +
                        " A apart; this model's tables begin at " + std::to_string(begin) + " A",
                    piece.original(order.sorted[site.place]),
                    piece.original(order.sorted[site.target[k]]), Fault::too_close);
    }

    const Tables& tables_;
    const std::vector<Family>& families_;
    const Harmonics harmonics_;
    const int reaches_;  // how many different distances tables end at
    const double cutoff_;
    std::vector<std::vector<double>> squares_;  // of these: [centre * species + neighbour][reach]
    std::vector<std::vector<std::unique_ptr<const Grid>>> grids_;  // of pairs as before: [table]
    int channels_ = 0;
};

}  // namespace ace::ACE_ISA::rows
