// From the atoms of a batch to B_k, the virial, the forces on the atoms themselves and what the
// force rows of their neighbours need. Included by rows/engine.hpp.
#pragma once

// What all calls share and nobody changes.
struct Shared {
    const Tables tables;
    const std::vector<Family> families;
    const Geometry geometry;
    std::vector<std::unique_ptr<RowPlan>> plans;

    explicit Shared(Tables given)
        : tables(std::move(given)), families(ace::families(tables)), geometry(tables, families) {
        for (int s = 0; s < tables.species; s++)
            plans.push_back(std::make_unique<RowPlan>(tables, families, s));
    }
};

// Atoms of one species in one block; each has the lane of its place.
struct Batch {
    int species, begin, count;
    int block() const { return begin / W; }
    int lane() const { return begin % W; }
};

// What is kept of a batch until the force rows of its neighbours are visited.
struct Finished {
    Site sites[W];
    Buffer<V> forces;  // on the atoms themselves, [function of the species][xyz]
    size_t bytes = 0;
};

// A thread's, for one batch after the other.
class BatchStage {
  public:
    // Sums over all batches: [function], lanes apart; [function][virial_vectors].
    Buffer<V> energy, virial;

    void begin(const Shared& shared) {
        energy.zeroed(shared.tables.functions);
        virial.zeroed(static_cast<size_t>(shared.tables.functions) * virial_vectors);
    }

    void finish(const Shared& shared, const Cells& cells, const Order& order, const Batch& batch,
                bool forces, bool virials, Finished& to) {
        const RowPlan& plan = *shared.plans[batch.species];
        sites(shared, cells, order, batch, virials, to);
        V* x = variables_.need(plan.variables);
        shared.geometry.turn(plan, sums_.data(), batch.lane(), batch.lane() + batch.count, x,
                             moments_.data());
        products(plan, x);
        if (!forces && !virials) return;
        // Whole vectors at the end: rows are turned into columns later.
        const int pairs = plan.slopes.size();
        V* weights = weights_.need((pairs + W - 1) / W * W);
        for (int p = 0; p < pairs; p++) weights[p] = sum(plan.slopes, p, x);
        V* own = forces ? to.forces.zeroed(3 * plan.functions.size()) : nullptr;
        if (virials) whole<0>(plan, own);
        else whole<moment_move>(plan, own);
        if (forces) keep(plan, batch, to);
    }

  private:
    void sites(const Shared& shared, const Cells& cells, const Order& order, const Batch& batch,
               bool virials, Finished& to) {
        const Geometry& geometry = shared.geometry;
        const Pattern& last = shared.plans[batch.species]->patterns.back();
        const int columns = last.begin + shared.families.back().columns + last.kept;
        moments_.need(static_cast<size_t>(columns) * moment_count);
        sums_.need(static_cast<size_t>(geometry.columns()) * W * sum_vectors);
        for (int k = 0; k < batch.count; k++) {
            Site& site = to.sites[k];
            site.place = batch.begin + k;
            geometry.fill(site, cells, order, scratch_);
            V* sums = sums_.data() + (batch.lane() + k) * sum_vectors;
            if (virials) geometry.sum<true>(site, scratch_, sums);
            else geometry.sum<false>(site, scratch_, sums);
        }
    }

    __attribute__((noinline)) void products(const RowPlan& plan, V* x) {
        x[plan.one] = V{} + 1.0;
        multiply(plan, x);
        for (int f = 0; f < plan.values.size(); f++) {
            const V value = sum(plan.values, f, x);
            energy.data()[plan.functions[f]] += value;
            if (plan.value_place[f] >= 0) x[plan.value_place[f]] = value;
        }
    }

    // The sums over all neighbours, atoms in their lanes.
    template <int begin>
    __attribute__((noinline)) void whole(const RowPlan& plan, V* forces) {
        const LaneWeights weights{weights_.data()};
        const ToWhole<begin> to{virial.data(), forces, plan.number.data()};
        for (size_t f = 0; f < plan.patterns.size(); f++) {
            const Pattern& pattern = plan.patterns[f];
            V* rows = moments_.data() + static_cast<size_t>(pattern.begin) * moment_count;
            walk<1, moment_count - begin, moment_count>(pattern, rows + begin, weights, to);
        }
    }

    // Weights atom by atom.
    void keep(const RowPlan& plan, const Batch& batch, Finished& to) {
        const int pairs = plan.slopes.size();
        to.bytes = 3 * sizeof(V) * plan.functions.size();
        for (int k = 0; k < batch.count; k++) {
            to.sites[k].weights.need((pairs + W - 1) / W * W);
            to.bytes += to.sites[k].bytes(pairs);
        }
        for (int p = 0; p < pairs; p += W) {
            V* columns = weights_.data() + p;
            transpose(columns);
            for (int k = 0; k < batch.count; k++)
                *reinterpret_cast<V*>(to.sites[k].weights.data() + p) = columns[batch.lane() + k];
        }
    }

    Geometry::Scratch scratch_;
    Buffer<V> variables_, weights_;  // atoms in lanes: x of the plan; dB_k/dA_v, [pair]
    Buffer<V> sums_, moments_;       // [column][lane][sum_vectors]; [column, kept][moment_count]
};
