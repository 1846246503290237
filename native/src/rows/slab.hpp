// The rows of a slab: a thread's, for one after the other.
#pragma once
#include <algorithm>
#include <vector>

#include "rows/batch.hpp"
#include "rows/force_rows.hpp"

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
    };

    // The forces of the sites of a tile on their neighbours.
    void neighbours(const Tile& tile, int centre, const Slab& slab) {
        for (size_t g = 0; g < tile.groups.size(); g++) {
            const Group& group = tile.groups[g];
            if (!slab.holds(tile.targets[group.slot])) continue;  // those in the slab come first
            for (int t = 0; t < shared_.geometry.reaches(); t++) {
                list_pairs(tile, g, t);
                const Part part{shared_.program(centre, group.species, t), tile, group, centre, t};
                results_.need(3 * part.program.positions.size());
                for (size_t k = 0; k < pairs_.size(); k += 4) switch (pairs_.size() - k) {
                        case 1: walk<1>(part, k); break;
                        case 2: walk<2>(part, k); break;
                        case 3: walk<3>(part, k); break;
                        default: walk<4>(part, k);
                    }
            }
        }
    }

    void list_pairs(const Tile& tile, size_t g, int reach) {
        pairs_.clear();
        for (int n = 0; n < tile.count; n++) {
            const Site& site = tile.sites[n];
            const int layers = site.layers[g * shared_.geometry.reaches() + reach];
            for (int q = site.first[g]; q < site.first[g] + layers; q++) {
                const V* unit = site.unit(q);
                pairs_.push_back({unit, unit + 3, unit + 3 + shared_.geometry.harmonic_count(),
                                  site.kept.data()});
            }
        }
    }

    // N pairs of a group from one on; with the last of them the results go to the rows.
    template <int N>
    void walk(const Part& part, size_t first) {
        NeighbourWalk<N> walk(part.program, pairs_.data() + first,
                              shared_.geometry.harmonic_count(), shared_.geometry.channels(),
                              work_);
        const bool last = first + N == pairs_.size();
        for (const Chunk& chunk : part.program.chunks) {
            V* results = results_.data() + 3 * chunk.first_position;
            if (last) rows.ask(part.tile, part.group, part.centre, part.reach, chunk);
            if (first == 0) walk.template run<false>(chunk, results);
            else walk.template run<true>(chunk, results);
            if (last) rows.add(part.tile, part.group, part.centre, part.reach, chunk, results);
        }
    }

    const Shared& shared_;
    std::vector<Pair> pairs_;
    Scratch<V> results_;
    WalkWork work_;
};

}  // namespace ace::ACE_ISA::rows
