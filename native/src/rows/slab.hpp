// The rows of a slab: a thread's, for one after the other.
#pragma once
#include <algorithm>
#include <vector>

#include "rows/batch.hpp"
#include "rows/force_rows.hpp"
#include "rows/moments.hpp"
#include "rows/walk.hpp"

namespace ace::ACE_ISA::rows {

class SlabStage {
  public:
    BatchStage batches;
    ForceRows rows;

    explicit SlabStage(const Shared& shared) : rows(shared), shared_(shared) {}

    void run(const Piece& piece, const Order& order, const std::vector<Batch>& all,
             const Slab& slab, const RowMatrix& out) {
        const bool forces = out.forces >= 0, virials = out.virial >= 0;
        if (forces) rows.begin(order, slab);
        for (const Batch& batch : all) {
            const bool inside = slab.holds(batch.begin);
            if (!inside && !forces) continue;
            if (!batches.find(shared_, piece, order, batch, slab)) continue;
            batches.finish(shared_, piece, order, batch, slab, forces, virials);
            if (!forces) continue;
            if (inside) rows.add_own(batch.species, batch.begin, batch.count, batches.own.data());
            for (int t = 0; t < batches.tiles_used(); t++)
                neighbours(batches.tiles[t], batch.species, slab);
        }
        if (forces) rows.write(order, out.data + out.forces, out.stride);
    }

  private:
    // What the results of a walk are of.
    struct Part {
        const Program& program;
        const Tile& tile;
        const Group& group;
        int centre, reach;
        bool fresh;  // the targets' rows hold nothing of these yet
    };

    // The forces of the sites of a tile on their neighbours.
    void neighbours(const Tile& tile, int centre, const Slab& slab) {
        for (size_t g = 0; g < tile.groups.size(); g++) {
            const Group& group = tile.groups[g];
            if (!slab.holds(tile.targets[group.slot])) continue;  // those in the slab come first
            for (int t = 0; t < shared_.geometry.reaches(); t++) {
                list_pairs(tile, g, t);
                if (pairs_.empty()) continue;
                const Part part{shared_.program(centre, group.species, t), tile, group, centre, t,
                                rows.open(tile, group, centre, t)};
                results_.need(3 * part.program.positions.size());
                if (tile.summed[g * shared_.geometry.reaches() + t]) by_entries(part);
                else by_terms(part);
            }
        }
    }

    // The vectors of a group.
    void list_pairs(const Tile& tile, size_t g, int reach) {
        pairs_.clear();
        here_.clear();
        for (int n = 0; n < tile.count; n++) {
            const Site& site = tile.sites[n];
            const int first = site.first[g];
            const int layers = site.layers[g * shared_.geometry.reaches() + reach];
            if (layers) here_.push_back({&site, first, layers});
            for (int q = first; q < first + layers; q++)
                pairs_.push_back({site.unit(q), site.unit(q) + 3, site.radial(q), site.kept.data()});
        }
    }

    void by_terms(const Part& part) {
        for (size_t k = 0; k < pairs_.size(); k += 4) switch (pairs_.size() - k) {
                case 1: walk<1>(part, k); break;
                case 2: walk<2>(part, k); break;
                case 3: walk<3>(part, k); break;
                default: walk<4>(part, k);
            }
    }

    // N pairs of a group from one on; with the last of them the results go to the rows.
    template <int N>
    void walk(const Part& part, size_t first) {
        NeighbourWalk<N> walk(part.program, pairs_.data() + first, work_);
        const bool last = first + N == pairs_.size();
        for (const Chunk& chunk : part.program.chunks) {
            V* results = results_.data() + 3 * chunk.first_position;
            if (last) ask(part, chunk);
            if (first == 0) walk.template run<false>(chunk, results);
            else walk.template run<true>(chunk, results);
            if (last) add(part, chunk, results);
        }
    }

    void ask(const Part& part, const Chunk& chunk) {
        rows.ask(part.tile, part.group, part.centre, part.reach, chunk);
    }
    void add(const Part& part, const Chunk& chunk, V* results) {
        rows.add(part.tile, part.group, part.centre, part.reach, chunk, part.fresh, results);
    }

    void by_entries(const Part& part) {
        switch (here_.size()) {
            case 0: break;
            case 1: walk_summed<1>(part); break;
            case 2: walk_summed<2>(part); break;
            case 3: walk_summed<3>(part); break;
            default: walk_summed<4>(part);
        }
    }

    // All N sites that have neighbours in a group.
    template <int N>
    void walk_summed(const Part& part) {
        const Family& family =
            shared_.families[part.group.species * shared_.geometry.reaches() + part.reach];
        images_.need(static_cast<size_t>(family.columns) * 3 * N);
        work_.slots.need(size_t(part.program.slots) * 3 * N);
        const double* weights[N];
        for (int n = 0; n < N; n++) {
            const Images& from = here_[n];
            weights[n] = from.site->weights.data();
            sum_images(shared_.geometry.harmonics(), *from.site, from.first, from.count, family,
                       pieces_, images_.data() + 3 * n, 3 * N);
        }
        for (const Chunk& chunk : part.program.chunks) {
            V* results = results_.data() + 3 * chunk.first_position;
            ask(part, chunk);
            walk_images<N>(part.program, chunk, weights, images_.data(), work_.slots.data(), results);
            add(part, chunk, results);
        }
    }

    // The vectors of a group that are neighbours of one site.
    struct Images {
        const Site* site;
        int first, count;
    };

    const Shared& shared_;
    std::vector<Pair> pairs_;
    std::vector<Images> here_;
    Scratch<V> results_, images_, pieces_;
    WalkWork work_;
};

}  // namespace ace::ACE_ISA::rows
