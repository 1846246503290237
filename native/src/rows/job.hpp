// The rows of one structure at a time.
#pragma once
#include <algorithm>
#include <exception>
#include <memory>
#include <vector>

#include "ace/errors.hpp"
#include "ace/rows.hpp"
#include "ace/threads.hpp"
#include "rows/slab.hpp"

namespace ace::ACE_ISA::rows {

// Bytes of the force rows that a thread holds at a time.
constexpr size_t slab_bytes = size_t(128) << 20;

class Job {
  public:
    explicit Job(const Shared& shared) : shared_(shared) {}

    void fill(const Structure& in, int threads, const RowMatrix& out) {
        piece_.in = &in;
        prepare(in, threads);
        while (stages_.size() < static_cast<size_t>(threads))
            stages_.push_back(std::make_unique<SlabStage>(shared_));
        const int slabs = make_slabs(threads, out.forces >= 0);
        each(threads, [&](int t) {
            stages_[t]->batches.begin(shared_);
            for (int k = t; k < slabs; k += threads)
                stages_[t]->run(piece_, order_, batches_, slabs_[k], out);
        });
        total(threads, out);
    }

  private:
    void prepare(const Structure& in, int threads) {
        const Tables& tables = shared_.tables;
        const int atoms = in.atoms;
        for (int i = 0; i < atoms; i++)
            if (in.species[i] < 0 || in.species[i] >= tables.species)
                throw Error("species: atom # has an unknown species", i);
        Cells& cells = piece_.cells;
        cells.build(atoms, in.positions, in.cell, in.pbc, in.species, tables.longest_cutoff(),
                    {&pool_, threads});
        order_.original = compact_order(in.positions, in.cell, in.pbc, in.species, atoms, W);
        for (std::vector<int>* v : {&order_.species, &order_.place, &order_.sorted}) v->resize(atoms);
        std::vector<int> place(atoms);
        for (int p = 0; p < atoms; p++) place[order_.original[p]] = p;
        for (int k = 0; k < atoms; k++) {
            const int p = place[cells.original(k)];
            order_.place[k] = p;
            order_.sorted[p] = k;
            order_.species[p] = in.species[cells.original(k)];
        }
        batches_.clear();
        for (int begin = 0, end; begin < atoms; begin = end) {
            for (end = begin; end < atoms && end - begin < W &&
                              order_.species[end] == order_.species[begin];)
                end++;
            batches_.push_back({order_.species[begin], begin, end - begin});
        }
    }

    // Whole batches each, at least one a thread, as far as there are batches.
    int make_slabs(int threads, bool forces) {
        const size_t bytes = forces ? stages_[0]->rows.bytes() * order_.atoms() : 0;
        const size_t wanted = std::max<size_t>(threads, bytes / slab_bytes + 1);
        const size_t count = batches_.size(), slabs = std::min(wanted, count);
        slabs_.clear();
        for (size_t k = 0; k < slabs; k++) {
            const Batch& last = batches_[count * (k + 1) / slabs - 1];
            slabs_.push_back({batches_[count * k / slabs].begin, last.begin + last.count});
        }
        return static_cast<int>(slabs);
    }

    // The work of all threads. If several fail, the first of them is who says why, as with one
    // thread, whoever was there first.
    template <class F>
    void each(int threads, F&& work) {
        failures_.assign(threads, nullptr);
        pool_.run(threads, [&](int t) {
            try {
                work(t);
            } catch (...) {
                failures_[t] = std::current_exception();
            }
        });
        for (const std::exception_ptr& failure : failures_)
            if (failure) std::rethrow_exception(failure);
    }

    // Energy and virial rows: sums over threads.
    void total(int threads, const RowMatrix& to) {
        for (int k = 0; k < shared_.tables.functions; k++) {
            double* out = to.data + k * to.stride;
            V energy = V{}, virial[virial_vectors] = {};
            for (int t = 0; t < threads; t++) {
                const BatchStage& from = stages_[t]->batches;
                energy += from.energy[k];
                for (int v = 0; v < virial_vectors; v++)
                    virial[v] += from.virial[static_cast<size_t>(k) * virial_vectors + v];
            }
            if (to.energy >= 0) out[to.energy] = S::total(energy);
            if (to.virial >= 0)
                std::copy_n(reinterpret_cast<const double*>(virial), 6, out + to.virial);
        }
    }

    const Shared& shared_;
    Piece piece_;
    Order order_;
    std::vector<Batch> batches_;
    std::vector<Slab> slabs_;
    std::vector<std::unique_ptr<SlabStage>> stages_;  // by thread; kept, grown to the largest
    std::vector<std::exception_ptr> failures_;        // by thread
    Threads pool_;
};

}  // namespace ace::ACE_ISA::rows
