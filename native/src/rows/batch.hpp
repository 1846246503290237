// From W atoms of one species to B_k, the virial, the forces on the atoms themselves, and what the
// force rows of their neighbours need of them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "rows/entries.hpp"
#include "rows/products.hpp"
#include "rows/shared.hpp"
#include "rows/tile.hpp"

namespace ace::ACE_ISA::rows {

// Atoms of one species that follow each other.
struct Batch {
    int species, begin, count;
};

// Of the six components of a function's virial.
constexpr int virial_vectors = (6 + W - 1) / W;

// A thread's, for one batch after the other.
class BatchStage {
  public:
    Tile tiles[W / tile_sites];
    Scratch<V> own;             // forces on the atoms, [function of the species][xyz]
    Scratch<V> energy, virial;  // sums over all batches: [function]; [function][virial_vectors]

    void begin(const Shared& shared) {
        energy.zero(shared.tables.functions);
        virial.zero(static_cast<size_t>(shared.tables.functions) * virial_vectors);
    }

    // Finds the neighbours. False if neither they nor the atoms are in the slab.
    bool find(const Shared& shared, const Piece& piece, const Order& order, const Batch& batch,
              const Slab& slab) {
        bool any = false;
        for (int k = 0; k < batch.count; k++) {
            Tile& tile = tiles[k / tile_sites];
            tile.count = k % tile_sites + 1;
            Site& site = tile.sites[k % tile_sites];
            site.place = batch.begin + k;
            shared.geometry.collect(site, piece, order, work_);
            any = any || slab.holds(site.place);
            for (const int target : site.target) any = any || slab.holds(target);
        }
        used_ = (batch.count + tile_sites - 1) / tile_sites;
        return any;
    }

    int tiles_used() const { return used_; }

    // Everything else. Atoms outside the slab have no part in energies, virials and own forces.
    void finish(const Shared& shared, const Piece& piece, const Order& order, const Batch& batch,
                const Slab& slab, bool forces, bool virials) {
        const RowPlan& plan = *shared.plans[batch.species];
        const bool inside = slab.holds(batch.begin);
        variables_.need(plan.variables);
        V* x = variables_.data();
        for (int t = 0; t < used_; t++) {
            shared.geometry.arrange(tiles[t], order, slab);
            tiles[t].choose(shared.geometry.reaches(), [&](int z, int reach) -> const Program& {
                return shared.program(batch.species, z, reach);
            });
        }
        if (virials && inside) sums<true>(shared, piece, order, batch, x);
        else sums<false>(shared, piece, order, batch, x);
        x[plan.one] = S::set(1);
        multiply(plan, x);
        values(plan, x, batch.count, inside);
        if (!forces && !virials) return;
        weights_.need(plan.weights.size() + W);
        for (int p = 0; p < plan.weights.size(); p++) weights_[p] = sum(plan.weights, p, x);
        own.zero(3 * plan.functions.size());
        if (inside) {
            if (virials) whole<moment_count>(plan);
            else whole<moments_without_virial>(plan);
        }
        if (!forces) return;
        const auto any = [&](bool Tile::*wanted) {
            return std::any_of(tiles, tiles + used_, [&](const Tile& t) { return t.*wanted; });
        };
        if (any(&Tile::by_terms)) keep(shared, plan, batch);
        if (any(&Tile::by_entries)) keep_all(plan, batch);
    }

  private:
    Site& site(int k) { return tiles[k / tile_sites].sites[k % tile_sites]; }

    // A's and moments.
    template <bool virial>
    void sums(const Shared& shared, const Piece& piece, const Order& order, const Batch& batch,
              V* a) {
        const Geometry& geometry = shared.geometry;
        const size_t columns = geometry.columns();
        moments_.need(columns * moment_count);
        sums_.need(columns * W * sum_vectors(virial));
        for (int k = 0; k < batch.count; k++) {
            geometry.fill(site(k), piece, order, work_);
            geometry.sum<virial>(site(k), work_, sums_.data() + k * sum_vectors(virial));
        }
        geometry.turn<virial>(sums_.data(), batch.count, a, moments_.data());
    }

    __attribute__((noinline)) void values(const RowPlan& plan, V* x, int count, bool inside) {
        V present = V{};
        for (int k = 0; k < count; k++) present[k] = inside;
        for (int f = 0; f < plan.values.size(); f++) {
            const V value = sum(plan.values, f, x);
            energy[plan.functions[f]] += value * present;
            if (plan.value_place[f] >= 0) x[plan.value_place[f]] = value;
        }
    }

    // The sums over all neighbours: to own forces, and to the virial, with the lanes summed up.
    template <int width>
    __attribute__((noinline)) void whole(const RowPlan& plan) {
        for (const Program& program : plan.programs) {
            slots_.need(static_cast<size_t>(program.slots) * width);
            const V* moments =
                moments_.data() + static_cast<size_t>(program.begin) * moment_count;
            const V* weights = weights_.data();
            for (const Chunk& chunk : program.chunks)
                walk_entries<1, width, moment_count>(
                    program, chunk, [=](int p, int) ACE_LAMBDA { return weights[p]; }, moments,
                    slots_.data(), [&](const Result& r, const V* sum) ACE_LAMBDA {
                        add_whole<width>(plan, r.function, sum);
                    });
        }
    }

    template <int width>
    ACE_INLINE void add_whole(const RowPlan& plan, int function, const V* sum) {
        V* out = own.data() + static_cast<size_t>(3) * plan.number[function];
#pragma GCC unroll 3
        for (int q = 0; q < 3; q++) out[q] += sum[q];
        if constexpr (width == moment_count) {
            V padded[virial_vectors * W] = {};
#pragma GCC unroll 6
            for (int q = 0; q < 6; q++) padded[q] = sum[3 + q];
#pragma GCC unroll 3
            for (int v = 0; v < virial_vectors; v++)
                virial[static_cast<size_t>(function) * virial_vectors + v] +=
                    S::sums(padded + v * W);
        }
    }

    // What neighbours need of the weights, atom by atom; the sign is that of forces.
    __attribute__((noinline)) void keep(const Shared& shared, const RowPlan& plan,
                                        const Batch& batch) {
        const int padded = (plan.kept + W - 1) / W * W;  // whole vectors: rows become columns
        kept_.need(padded);
        const double y = 0.28209479177387814;  // Y_00
        for (const Program& program : plan.programs) {
            for (const Rest& rest : program.rests) {
                const V* w = &weights_[rest.weight];
                V* out = &kept_[rest.kept];
                if (rest.l) shared.geometry.harmonics().lower(rest.l, rest.l > 1 ? -1 : -y, w, out);
                else out[0] = -y * w[0];
            }
            for (const Result& r : program.results) {
                const V* w = &weights_[r.weight];
                V* out = &kept_[r.kept];
                if (r.parent >= 0) *out++ = *w++;
                if (r.slope >= 0) *out = -y * *w;
            }
        }
        turn(kept_.data(), padded, batch, &Site::kept);
    }

    // All weights, atom by atom; these are gone then.
    void keep_all(const RowPlan& plan, const Batch& batch) {
        turn(weights_.data(), (plan.weights.size() + W - 1) / W * W, batch, &Site::weights);
    }

    // From atoms in the lanes to numbers of each atom.
    void turn(V* from, int count, const Batch& batch, Scratch<double> Site::*to) {
        for (int k = 0; k < batch.count; k++) (site(k).*to).need(count);
        for (int p = 0; p < count; p += W) {
            S::transpose(from + p);
            for (int k = 0; k < batch.count; k++) S::store(&(site(k).*to)[p], from[p + k]);
        }
    }

    Geometry::Work work_;
    int used_ = 0;
    Scratch<V> variables_, weights_, kept_, slots_;  // atoms in the lanes
    Scratch<V> sums_, moments_;  // [column][atom][sum_vectors]; [column][moment_count]
};

}  // namespace ace::ACE_ISA::rows
