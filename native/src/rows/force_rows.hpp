// The force rows of the atoms of a slab, function by function in the order in which they are made,
// until they are written where the caller wants them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "ace/rows.hpp"
#include "rows/order.hpp"
#include "rows/shared.hpp"
#include "rows/tile.hpp"

namespace ace::ACE_ISA::rows {

class ForceRows {
  public:
    explicit ForceRows(const Shared& shared) : shared_(shared) {
        const int species = shared.tables.species, reaches = shared.geometry.reaches();
        for (int z = 0; z < species; z++) {
            size_t at = 0;
            for (int s = 0; s < species; s++)
                for (int t = 0; t < reaches; t++) {
                    offsets_.push_back(at);
                    at += 3 * shared.program(s, z, t).positions.size();
                }
            own_.push_back(at);
            find_homes(z);
            sizes_.push_back(at + 3 * homes_[z].back().size());
        }
        zeros_.zero(*std::max_element(sizes_.begin(), sizes_.end()));
    }

    // About the bytes of the rows of one atom.
    size_t bytes() const { return *std::max_element(sizes_.begin(), sizes_.end()) * sizeof(double); }

    void begin(const Order& order, const Slab& slab) {
        slab_ = slab;
        size_t at = 0;
        begins_.clear();
        for (int p = slab.begin; p < slab.end; p++) {
            begins_.push_back(at);
            at += sizes_[order.species[p]];
        }
        rows_.need(at);
        written_.assign(begins_.size() * parts(), 0);
    }

    // Before results of a centre's species and reach are added to the rows of the targets of a
    // group: whether none of these has any yet, so that they may be written over what is there. If
    // some have, those of the others are made zero.
    bool open(const Tile& tile, const Group& group, int centre, int reach) {
        const size_t step = shared_.program(centre, group.species, reach).positions.size();
        double* rows[W];
        rows_of(tile, group, offset(group.species, centre, reach), rows);
        char* written[W];
        int all = 0, fresh = 0;
        for (int q = 0; q < group.span; q++) {
            if (!rows[q]) continue;
            written[q] = &part(tile.targets[group.slot + q], centre, reach);
            all++;
            fresh += !*written[q];
        }
        for (int q = 0; q < group.span && fresh; q++) {
            if (!rows[q] || *written[q]) continue;
            *written[q] = 1;
            if (fresh < all) std::fill_n(rows[q], 3 * step, 0.0);
        }
        return fresh == all;
    }

    // Asks for the rows that the results of a chunk will be added to: they are far apart.
    void ask(const Tile& tile, const Group& group, int centre, int reach, const Chunk& chunk) {
        const int z = group.species, count = chunk.end_result - chunk.first_result;
        const size_t step = shared_.program(centre, z, reach).positions.size();
        double* rows[W];
        rows_of(tile, group, offset(z, centre, reach) + chunk.first_position, rows);
        for (int q = 0; q < W; q++)
            for (int d = 0; rows[q] && d < 3; d++)
                for (int k = 0; k < count; k += 8)
                    __builtin_prefetch(rows[q] + d * step + k, 1, 2);
    }

    // Adds the results of a chunk, [result][xyz], to the rows of the targets of a group, or writes
    // them there.
    void add(const Tile& tile, const Group& group, int centre, int reach, const Chunk& chunk,
             bool fresh, V* results) {
        const int z = group.species;
        const size_t step = shared_.program(centre, z, reach).positions.size();
        double* rows[W];
        rows_of(tile, group, offset(z, centre, reach) + chunk.first_position, rows);
        const int count = chunk.end_result - chunk.first_result;
        std::fill_n(results + 3 * count, 3 * (padded(count) - count), V{});
        // Lanes that repeat others' targets are always added.
        const int over = fresh ? group.span : 0;
        for (int k = 0; k < count; k += W)
            for (int d = 0; d < 3; d++) {
                V block[W];
#pragma GCC unroll 8
                for (int q = 0; q < W; q++) block[q] = results[3 * (k + q) + d];
                S::transpose(block);
#pragma GCC unroll 8
                for (int q = 0; q < W; q++) {
                    if (!rows[q]) continue;
                    V& to = *reinterpret_cast<V*>(rows[q] + d * step + k);
                    to = q < over ? block[q] : to + block[q];
                }
            }
    }

    // The forces on atoms of one species themselves, [function of the species][xyz].
    void add_own(int species, int first, int count, const V* own) {
        const std::vector<std::vector<int>>& homes = homes_[species];
        for (int t = 0; t < shared_.geometry.reaches(); t++) {
            const size_t at = offset(species, species, t);
            for (int q = 0; q < count; q++) {
                char& written = part(first + q, species, t);
                if (!written) std::fill_n(row(first + q) + at, 3 * homes[t].size(), 0.0);
                written = 1;
            }
            put_own<true>(homes[t], at, first, count, own);
        }
        put_own<false>(homes.back(), own_[species], first, count, own);
    }

    // Writes all rows into a matrix; rows of atom i begin at 3 i.
    void write(const Order& order, double* out, size_t stride) {
        atoms_.clear();
        for (int p = slab_.begin; p < slab_.end; p++) atoms_.emplace_back(order.original[p], p);
        std::sort(atoms_.begin(), atoms_.end());
        const size_t functions = shared_.tables.functions;
        constexpr size_t most = vectors * W;
        for (size_t first = 0; first < 3 * atoms_.size(); first += most) {
            const size_t count = std::min(most, 3 * atoms_.size() - first);
            size_t to[most];
            for (size_t q = 0; q < count; q++)
                to[q] = size_t(3) * atoms_[(first + q) / 3].first + (first + q) % 3;
            whole_.zero(vectors * functions);
            for (size_t v = 0; v * W < count; v++) {
                const int some = static_cast<int>(std::min<size_t>(W, count - v * W));
                for (int z = 0; z < shared_.tables.species; z++)
                    gather(order, z, first + v * W, some, whole_.data() + v);
            }
            const bool together = count == most && to[most - 1] == to[0] + most - 1;
            double* column = out;
            for (size_t k = 0; k < functions; k++, column += stride) {
                const V* rows = whole_.data() + vectors * k;
                if (together)
                    for (int v = 0; v < vectors; v++) S::store(column + to[0] + v * W, rows[v]);
                else
                    for (size_t q = 0; q < count; q++) column[to[q]] = rows[q / W][q % W];
            }
        }
    }

  private:
    // That are written together: half the lines of the matrix are visited twice.
    static constexpr int vectors = 2;

    // Whole vectors of any instruction set.
    static size_t padded(size_t count) { return (count + 7) / 8 * 8; }

    size_t offset(int z, int centre, int reach) const {
        return offsets_[(z * shared_.tables.species + centre) * shared_.geometry.reaches() + reach];
    }

    // The parts of a row are those of centres' species and reaches; whether one has been written.
    size_t parts() const { return size_t(shared_.tables.species) * shared_.geometry.reaches(); }
    char& part(int place, int centre, int reach) {
        const size_t which = centre * shared_.geometry.reaches() + reach;
        return written_[(place - slab_.begin) * parts() + which];
    }

    // Forces on atoms themselves, [function][xyz], to their rows from `at` on.
    template <bool add>
    void put_own(const std::vector<int>& home, size_t at, int first, int count, const V* own) {
        for (size_t k = 0; k < home.size(); k += W)
            for (int d = 0; d < 3; d++) {
                V block[W];
                for (int q = 0; q < W; q++)
                    block[q] = home[k + q] >= 0 ? own[3 * home[k + q] + d] : V{};
                S::transpose(block);
                for (int q = 0; q < count; q++) {
                    V& to = *reinterpret_cast<V*>(row(first + q) + at + d * home.size() + k);
                    to = add ? to + block[q] : block[q];
                }
            }
    }

    // Those of the targets of a group, from one place in each on; null outside the slab.
    void rows_of(const Tile& tile, const Group& group, size_t at, double** rows) {
        for (int q = 0; q < W; q++) {
            const int target = tile.targets[group.slot + q % group.span];
            rows[q] = target >= 0 && slab_.holds(target) ? row(target) + at : nullptr;
        }
    }

    // Where forces on atoms themselves go: to where neighbours of their own species have the same
    // function, or else to a place at the end.
    void find_homes(int z) {
        const RowPlan& plan = *shared_.plans[z];
        std::vector<char> found(plan.functions.size(), 0);
        homes_.emplace_back();
        for (int t = 0; t < shared_.geometry.reaches(); t++) {
            homes_[z].emplace_back();
            for (const int k : shared_.program(z, z, t).positions) {
                const int number = k < 0 ? -1 : plan.number[k];
                const bool here = number >= 0 && !found[number];
                homes_[z].back().push_back(here ? number : -1);
                if (here) found[number] = 1;
            }
        }
        homes_[z].emplace_back();
        for (size_t number = 0; number < found.size(); number++)
            if (!found[number]) homes_[z].back().push_back(static_cast<int>(number));
        while (homes_[z].back().size() % 8) homes_[z].back().push_back(-1);
    }

    double* row(int place) { return rows_.data() + begins_[place - slab_.begin]; }

    // W rows from one on, by function, as far as they are of atoms of species z.
    void gather(const Order& order, int z, size_t first, int count, V* whole) {
        int place[W];
        size_t direction[W];
        bool here = false;
        for (int q = 0; q < W; q++) {
            place[q] = q < count ? atoms_[(first + q) / 3].second : -1;
            if (place[q] >= 0 && order.species[place[q]] != z) place[q] = -1;
            direction[q] = (first + q) % 3;
            here = here || place[q] >= 0;
        }
        if (!here) return;
        const double* from[W];
        const auto begin = [&](const std::vector<int>& positions, size_t at, auto&& written) {
            bool any = false;
            for (int q = 0; q < W; q++) {
                const bool some = place[q] >= 0 && written(place[q]);
                const size_t to = at + direction[q] * positions.size();
                from[q] = some ? row(place[q]) + to : zeros_.data();
                any = any || some;
            }
            return any;
        };
        for (int s = 0; s < shared_.tables.species; s++)
            for (int t = 0; t < shared_.geometry.reaches(); t++) {
                const std::vector<int>& positions = shared_.program(s, z, t).positions;
                if (begin(positions, offset(z, s, t), [&](int p) { return part(p, s, t); }))
                    add_columns(from, positions, whole, [](int k) { return k; });
            }
        const std::vector<int>& functions = shared_.plans[z]->functions;
        begin(homes_[z].back(), own_[z], [](int) { return true; });
        add_columns(from, homes_[z].back(), whole, [&](int k) { return functions[k]; });
    }

    template <class F>
    static void add_columns(const double* const* rows, const std::vector<int>& positions, V* whole,
                            F&& function) {
        for (size_t k = 0; k < positions.size(); k += W) {
            V block[W];
#pragma GCC unroll 8
            for (int q = 0; q < W; q++) block[q] = S::load(rows[q] + k);
            S::transpose(block);
            for (int q = 0; q < W; q++)
                if (positions[k + q] >= 0) whole[vectors * function(positions[k + q])] += block[q];
        }
    }

    const Shared& shared_;
    std::vector<size_t> offsets_, own_, sizes_;  // within a row: [z][centre][reach]; by z; by z
    // By z: the number of the own function at every position, [reach]; then of the others.
    std::vector<std::vector<std::vector<int>>> homes_;
    Slab slab_{0, 0};
    std::vector<size_t> begins_;
    Scratch<double> rows_, zeros_;
    std::vector<char> written_;  // [atom of the slab][part]
    Scratch<V> whole_;           // of rows that are written together: [function][vector]
    std::vector<std::pair<int, int>> atoms_;
};

}  // namespace ace::ACE_ISA::rows
