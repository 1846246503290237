// The rows of one structure at a time. Included by rows/engine.hpp.
#pragma once

// Force rows are visited when finished batches take up so many bytes. Where all force rows stay in
// the near caches visits are cheap, and few batches come from there, too.
constexpr size_t near_matrix = size_t(1) << 20, near_round = size_t(1) << 20,
                 far_round = size_t(16) << 20;

class Job {
  public:
    explicit Job(const Shared& shared) : shared_(shared), tables_(shared.tables) {}

    void fill(const Crystal& in, int threads, const RowMatrix& out) {
        out_ = out;
        threads_ = threads;
        prepare(in);
        while (workspaces_.size() < static_cast<size_t>(threads))
            workspaces_.push_back(std::make_unique<Workspace>());
        each([&](int t) { workspaces_[t]->batches.begin(shared_); });
        const size_t count = batches_.size();
        for (size_t begin = 0, end; begin < count; begin = end) {
            size_t bytes = 0;
            for (end = begin; end < count && bytes < round_;) {
                each([&](int t) { finish(begin, end + t, *workspaces_[t]); });
                for (int u = 0; u < threads_ && end < count; u++, end++)
                    bytes += finished_[end - begin]->bytes;
            }
            if (out_.forces >= 0)
                each([&](int t) { spread(begin, end, t, workspaces_[t]->blocks); });
        }
        each([&](int t) { total(t); });
    }

  private:
    // What one thread works with; it grows to the largest structure and is kept.
    struct Workspace {
        BatchStage batches;
        BlockStage blocks;
    };

    void prepare(const Crystal& in) {
        for (int i = 0; i < in.atoms; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom # has an unknown species", i);
        cells_.build(in.atoms, in.positions, in.cell, in.pbc, in.species, tables_.longest_cutoff());
        const int atoms = in.atoms;
        order_.original = compact_order(in.positions, in.cell, in.pbc, in.species, atoms, W);
        order_.blocks = (atoms + W - 1) / W;
        for (order_.span = 1; order_.span < std::min(atoms, W);) order_.span *= 2;
        std::vector<int> place(atoms);
        for (int p = 0; p < atoms; p++) place[order_.original[p]] = p;
        order_.species.resize(atoms);
        order_.place.resize(atoms);
        order_.sorted.resize(atoms);
        for (int k = 0; k < atoms; k++) {
            const int p = place[cells_.original(k)];
            order_.place[k] = p;
            order_.sorted[p] = k;
            order_.species[p] = in.species[cells_.original(k)];
        }
        batches_.clear();
        for (int begin = 0, end; begin < atoms; begin = end) {
            for (end = begin; end < atoms && end / W == begin / W &&
                              order_.species[end] == order_.species[begin];)
                end++;
            batches_.push_back({order_.species[begin], begin, end - begin});
        }
        if (finished_.size() < batches_.size()) finished_.resize(batches_.size());
        written_.assign(order_.blocks, 0);
        const size_t matrix = size_t(3) * atoms * tables_.functions * sizeof(double);
        round_ = matrix <= near_matrix ? near_round : far_round;
    }

    // The work of all threads. If several fail, the first of them is who says why, as with one
    // thread, whoever was there first.
    template <class F>
    void each(F&& work) {
        failures_.assign(threads_, nullptr);
        pool_.run(threads_, [&](int t) {
            try {
                work(t);
            } catch (...) {
                failures_[t] = std::current_exception();
            }
        });
        for (const std::exception_ptr& failure : failures_)
            if (failure) std::rethrow_exception(failure);
    }

    // Finishes a batch of the round that starts with batch `begin`.
    void finish(size_t begin, size_t batch, Workspace& w) {
        if (batch >= batches_.size()) return;
        std::unique_ptr<Finished>& to = finished_[batch - begin];
        if (!to) to = std::make_unique<Finished>();
        w.batches.finish(shared_, cells_, order_, batches_[batch], out_.forces >= 0,
                         out_.virial >= 0, *to);
    }

    // The force rows of the blocks of thread t, as far as batches begin ... end enter.
    void spread(size_t begin, size_t end, int t, BlockStage& stage) {
        stage.list(shared_, order_, batches_, finished_, begin, end, t, threads_);
        size_t own = begin;
        for (int block = t; block < order_.blocks; block += threads_) {
            while (own < end && batches_[own].block() < block) own++;
            const bool here = own < end && batches_[own].block() == block;
            if (!here && !stage.touched(block)) continue;
            stage.clear(tables_.functions);
            for (size_t b = own; b < end && batches_[b].block() == block; b++)
                stage.own(*shared_.plans[batches_[b].species], *finished_[b - begin]);
            stage.others(shared_, block, order_.span);
            const int* atoms = order_.original.data() + block * W;
            const int count = std::min(W, static_cast<int>(order_.original.size()) - block * W);
            double* rows = out_.data + out_.forces;
            if (written_[block]) stage.write<true>(tables_.functions, atoms, count, rows, out_.stride);
            else stage.write<false>(tables_.functions, atoms, count, rows, out_.stride);
            written_[block] = 1;
        }
    }

    // Energy and virial rows: sums over threads, for the functions of thread t.
    void total(int t) {
        const int64_t functions = tables_.functions;
        const int begin = static_cast<int>(functions * t / threads_);
        const int end = static_cast<int>(functions * (t + 1) / threads_);
        for (int k = begin; k < end; k++) {
            double* out = out_.data + k * out_.stride;
            V energy = V{}, virial[virial_vectors] = {};
            for (int u = 0; u < threads_; u++) {
                const BatchStage& from = workspaces_[u]->batches;
                energy += from.energy.data()[k];
                for (int v = 0; v < virial_vectors; v++)
                    virial[v] += from.virial.data()[static_cast<size_t>(k) * virial_vectors + v];
            }
            if (out_.energy >= 0) out[out_.energy] = lane_sums<1>(&energy)[0];
            if (out_.virial >= 0)
                std::copy_n(reinterpret_cast<const double*>(virial), 6, out + out_.virial);
        }
    }

    const Shared& shared_;
    const Tables& tables_;
    RowMatrix out_;
    Cells cells_;
    Order order_;
    int threads_ = 1;
    size_t round_ = 0;  // bytes
    std::vector<Batch> batches_;
    std::vector<std::unique_ptr<Finished>> finished_;  // of a round
    std::vector<char> written_;                        // by block: whether its rows hold anything
    std::vector<std::unique_ptr<Workspace>> workspaces_;
    std::vector<std::exception_ptr> failures_;  // by thread
    Threads pool_;
};
