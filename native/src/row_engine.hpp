// The row builder for one instruction set. Compiled once for each, in a namespace of its own, so
// that the linker cannot mix code for different processors.
//
// Atoms of one species go in batches of W:
//   sites      neighbours, R and Y of each atom; A_v and the sums of dA_v/dr over neighbours
//   products   W atoms across the lanes: B_k, and dB_k/dA_v in the fixed pattern of (k, v)
//   forces     for a few blocks of W neighbours at a time dA_v/dr, which stays in the cache, and
//              sum_v dB_k/dA_v dA_v/dr in registers, function after function
// The force rows are summed up in an internal order of the atoms (row_site.hpp) and put into the
// caller's order at the end. Threads share the sites and products of a batch each, then own
// every so many blocks: no place is written by two.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/rows.hpp"
#include "row_plan.hpp"

#define ACE_INLINE inline __attribute__((always_inline))

namespace ace::ACE_ISA::rows {

#if defined(__AVX512F__)
constexpr int W = 8;
#elif defined(__AVX2__)
constexpr int W = 4;
#else
constexpr int W = 2;
#endif
typedef double V __attribute__((vector_size(W * sizeof(double)), aligned(W * sizeof(double))));
typedef double U __attribute__((vector_size(W * sizeof(double)), aligned(8), may_alias));

#include "row_harmonics.hpp"
#include "row_site.hpp"
#include "row_geometry.hpp"
#include "row_products.hpp"

// Blocks of neighbours whose dA_v/dr is held at a time: three vectors each.
constexpr int tile_blocks = 2;

// Lets all threads of a call through once all have come.
class Barrier {
  public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait() {
        if (threads_ == 1) return;
        std::unique_lock<std::mutex> lock(mutex_);
        const int round = round_;
        if (++waiting_ == threads_) {
            waiting_ = 0;
            round_++;
            ready_.notify_all();
        } else {
            ready_.wait(lock, [&] { return round_ != round; });
        }
    }

  private:
    const int threads_;
    int waiting_ = 0, round_ = 0;
    std::mutex mutex_;
    std::condition_variable ready_;
};

// What all calls share and nobody changes.
struct Shared {
    const Tables tables;
    const Geometry geometry;
    std::vector<std::unique_ptr<RowPlan>> plans;

    explicit Shared(Tables given) : tables(std::move(given)), geometry(tables) {
        for (int s = 0; s < tables.species; s++)
            plans.push_back(std::make_unique<RowPlan>(tables, s));
    }
};

// What one thread works with; it grows to the largest structure and is kept.
struct Workspace {
    Site sites[W];
    Geometry::Scratch scratch;
    Buffer<V> variables, tile, energy;  // energy: [function], W atoms apart
    Buffer<double> virial, column;      // [function][6]
    std::vector<Touched> blocks;
};

// The rows of one structure at a time.
class Job {
  public:
    explicit Job(const Shared& shared) : shared_(shared), tables_(shared.tables) {}

    void fill(const Crystal& in, int threads, const RowMatrix& out) {
        out_ = out;
        prepare(in);
        while (workspaces_.size() < static_cast<size_t>(threads))
            workspaces_.push_back(std::make_unique<Workspace>());
        threads_ = threads;
        failed_ = false;
        failure_ = nullptr;
        Barrier barrier(threads);
        std::vector<std::thread> pool;
        for (int t = 1; t < threads; t++)
            pool.emplace_back([this, t, &barrier] { run(t, barrier); });
        run(0, barrier);
        for (std::thread& thread : pool) thread.join();
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    struct Batch {
        int species, begin, count;
    };

    void prepare(const Crystal& in) {
        for (int i = 0; i < in.atoms; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom " + std::to_string(i) + " has an unknown species");
        cells_.build(in.atoms, in.positions, in.cell, in.pbc, in.species, tables_.longest_cutoff());
        atoms_ = in.atoms;
        order_.original =
            compact_order(in.positions, in.cell, in.pbc, in.species, in.atoms, W);
        order_.blocks = (atoms_ + W - 1) / W;
        std::vector<int> place(atoms_);
        for (int p = 0; p < atoms_; p++) place[order_.original[p]] = p;
        order_.species.resize(atoms_);
        order_.place.resize(atoms_);
        order_.sorted.resize(atoms_);
        for (int k = 0; k < atoms_; k++) {
            const int p = place[cells_.original(k)];
            order_.place[k] = p;
            order_.sorted[p] = k;
            order_.species[p] = in.species[cells_.original(k)];
        }
        source_.resize(static_cast<size_t>(3) * atoms_);
        for (int i = 0; i < atoms_; i++)
            for (int d = 0; d < 3; d++)
                source_[3 * i + d] = 3 * W * (place[i] / W) + W * d + place[i] % W;
        batches_.clear();
        for (int begin = 0; begin < atoms_;) {
            int end = begin;
            while (end < atoms_ && end < begin + W && order_.species[end] == order_.species[begin])
                end++;
            batches_.push_back({order_.species[begin], begin, end - begin});
            begin = end;
        }
        if (out_.forces >= 0) rest_.zeroed(static_cast<size_t>(3) * W * tables_.functions);
    }

    // A thread's share of everything. After a failure all stop at the next barrier.
    void run(int t, Barrier& barrier) {
        Workspace& w = *workspaces_[t];
        const int functions = tables_.functions;
        const int first = static_cast<int>(int64_t(functions) * t / threads_);
        const int last = static_cast<int>(int64_t(functions) * (t + 1) / threads_);
        guarded([&] {
            w.energy.zeroed(functions);
            w.virial.zeroed(static_cast<size_t>(6) * functions);
            if (out_.forces >= 0)
                for (int k = first; k < last; k++)
                    std::fill_n(out_.data + k * out_.stride + out_.forces, 3 * size_t(atoms_), 0.0);
        });
        for (size_t begin = 0; begin < batches_.size(); begin += threads_) {
            guarded([&] {
                if (begin + t < batches_.size()) sites(batches_[begin + t], w);
            });
            barrier.wait();
            if (failed_) return;
            guarded([&] {
                for (int u = 0; u < threads_ && begin + u < batches_.size(); u++)
                    spread(batches_[begin + u], workspaces_[u]->sites, t, w);
            });
            barrier.wait();
            if (failed_) return;
        }
        guarded([&] { finish(first, last, w); });
    }

    template <class F>
    void guarded(F&& work) {
        try {
            work();
        } catch (...) {
            const std::lock_guard<std::mutex> guard(lock_);
            if (!failed_) failure_ = std::current_exception();
            failed_ = true;
        }
    }

    // ---- sites and products of one batch

    void sites(const Batch& batch, Workspace& w) {
        const RowPlan& plan = *shared_.plans[batch.species];
        V* x = w.variables.need(plan.variables);
        std::memset(static_cast<void*>(x), 0, sizeof(V) * plan.one);
        double* a = reinterpret_cast<double*>(x);
        for (int k = 0; k < batch.count; k++) {
            Site& site = w.sites[k];
            site.place = batch.begin + k;
            shared_.geometry.fill(site, cells_, order_, w.scratch);
            if (out_.virial >= 0) shared_.geometry.sum<true>(site, a + k);
            else shared_.geometry.sum<false>(site, a + k);
        }
        x[plan.one] = V{} + 1.0;
        multiply(plan, x);
        for (int f = 0; f < plan.values.size(); f++)
            w.energy.data()[plan.functions[f]] += sum(plan.values, f, x);
        if (out_.forces < 0 && out_.virial < 0) return;
        double* weights[W];
        const size_t padded = (plan.slopes.size() + W - 1) / W * W;
        for (int k = 0; k < W; k++) weights[k] = w.sites[k].weights.need(padded);
        slopes(plan.slopes, x, weights, batch.count);
    }

    // ---- forces and virials

    // Where the force rows of function 0 of a block begin, and how far apart functions are. The
    // last block may be incomplete and has a place of its own.
    double* rows_of(int block, size_t& stride) {
        if (block < atoms_ / W) {
            stride = out_.stride;
            return out_.data + out_.forces + static_cast<size_t>(3) * W * block;
        }
        stride = 3 * W;
        return rest_.data();
    }

    void spread(const Batch& batch, const Site* sites, int t, Workspace& w) {
        const RowPlan& plan = *shared_.plans[batch.species];
        for (int k = 0; k < batch.count; k++) {
            const Site& site = sites[k];
            for (int z = 0; z < tables_.species; z++) {
                const Pattern& pattern = plan.patterns[z];
                if (out_.forces >= 0) {
                    w.blocks.clear();
                    for (const Touched& b : site.touched[z])
                        if (b.block % threads_ == t) w.blocks.push_back(b);
                    size_t b = 0;
                    for (; b + tile_blocks <= w.blocks.size(); b += tile_blocks)
                        tile<tile_blocks>(pattern, site, &w.blocks[b], w);
                    for (; b < w.blocks.size(); b++) tile<1>(pattern, site, &w.blocks[b], w);
                }
                if ((out_.forces >= 0 || out_.virial >= 0) && site.place / W % threads_ == t)
                    whole(pattern, site, w);
            }
        }
    }

    // -dB_k/dr of the atoms of some blocks.
    template <int blocks>
    void tile(const Pattern& pattern, const Site& site, const Touched* touched, Workspace& w) {
        constexpr int size = 3 * blocks;
        V* d = w.tile.need(static_cast<size_t>(pattern.end - pattern.begin) * size);
        for (int v = pattern.begin; v < pattern.end; v++)
            for (int b = 0; b < blocks; b++, d += 3)
                site.slope(tables_.a_channel[v], shared_.geometry.lm(v), touched[b], d);
        d = w.tile.data();
        double* to[blocks];
        size_t stride[blocks];
        for (int b = 0; b < blocks; b++) to[b] = rows_of(touched[b].block, stride[b]);
        const double* weight = site.weights.data();
        const int* column = pattern.column.data();
        for (size_t f = 0; f < pattern.function.size(); f++) {
            V sum[size] = {};
            for (int p = pattern.first[f]; p < pattern.first[f + 1]; p++) {
                const V c = V{} + weight[p];
                const V* row = d + static_cast<size_t>(*column++) * size;
#pragma GCC unroll 12
                for (int q = 0; q < size; q++) sum[q] += c * row[q];
            }
            const size_t k = pattern.function[f];
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++)
#pragma GCC unroll 3
                for (int q = 0; q < 3; q++) {
                    U* place = reinterpret_cast<U*>(to[b] + k * stride[b] + q * W);
                    *place = *place - sum[3 * b + q];
                }
        }
    }

    // The sums over all neighbours: virial, and the force on the central atom.
    void whole(const Pattern& pattern, const Site& site, Workspace& w) {
        const V* d = site.sums.data() + static_cast<size_t>(pattern.begin) * sum_vectors;
        size_t stride = 0;
        double* to = nullptr;
        if (out_.forces >= 0) to = rows_of(site.place / W, stride) + site.place % W;
        const double* weight = site.weights.data();
        const int* column = pattern.column.data();
        for (size_t f = 0; f < pattern.function.size(); f++) {
            V sum[sum_vectors] = {};
            for (int p = pattern.first[f]; p < pattern.first[f + 1]; p++) {
                const V c = V{} + weight[p];
                const V* row = d + static_cast<size_t>(*column++) * sum_vectors;
#pragma GCC unroll 8
                for (int q = 0; q < sum_vectors; q++) sum[q] += c * row[q];
            }
            const double* all = reinterpret_cast<const double*>(sum);
            const size_t k = pattern.function[f];
            for (int q = 0; q < 6; q++) w.virial.data()[6 * k + q] += all[q];
            if (!to) continue;
            for (int q = 0; q < 3; q++) to[k * stride + q * W] += all[sum_move + q];
        }
    }

    // Sums over threads, and the caller's order of atoms.
    void finish(int first, int last, Workspace& w) {
        const size_t full = static_cast<size_t>(atoms_ / W) * 3 * W;
        double* column = w.column.need(full + 3 * W);
        for (int k = first; k < last; k++) {
            double* out = out_.data + k * out_.stride;
            if (out_.energy >= 0) {
                double energy = 0;
                for (int t = 0; t < threads_; t++)
                    for (int q = 0; q < W; q++) energy += workspaces_[t]->energy.data()[k][q];
                out[out_.energy] = energy;
            }
            for (int q = 0; q < 6 && out_.virial >= 0; q++) {
                out[out_.virial + q] = 0;
                for (int t = 0; t < threads_; t++)
                    out[out_.virial + q] += workspaces_[t]->virial.data()[6 * size_t(k) + q];
            }
            if (out_.forces < 0) continue;
            std::copy_n(out + out_.forces, full, column);
            std::copy_n(rest_.data() + static_cast<size_t>(k) * 3 * W, 3 * W, column + full);
            for (size_t r = 0; r < source_.size(); r++) out[out_.forces + r] = column[source_[r]];
        }
    }

    const Shared& shared_;
    const Tables& tables_;
    RowMatrix out_;
    Cells cells_;
    Order order_;
    int atoms_ = 0, threads_ = 1;
    std::vector<int> source_;  // of every force row in blocks of places
    std::vector<Batch> batches_;
    std::vector<std::unique_ptr<Workspace>> workspaces_;
    Buffer<double> rest_;  // force rows of the last block, [function][xyz][lane]
    std::atomic<bool> failed_{false};
    std::exception_ptr failure_;
    std::mutex lock_;
};

class Builder final : public RowBuilder {
  public:
    explicit Builder(Tables tables) : shared_(std::move(tables)) {}

    void fill(const Crystal& crystal, int threads, const RowMatrix& out) override {
        std::unique_ptr<Job> job = take();
        job->fill(crystal, std::max(1, threads), out);
        const std::lock_guard<std::mutex> guard(lock_);
        idle_.push_back(std::move(job));
    }

    const char* instruction_set() const override { return ACE_ISA_NAME; }
    int functions() const override { return shared_.tables.functions; }

  private:
    std::unique_ptr<Job> take() {
        const std::lock_guard<std::mutex> guard(lock_);
        if (idle_.empty()) return std::make_unique<Job>(shared_);
        std::unique_ptr<Job> job = std::move(idle_.back());
        idle_.pop_back();
        return job;
    }

    const Shared shared_;
    std::mutex lock_;
    std::vector<std::unique_ptr<Job>> idle_;  // one for every call at the same time
};

}  // namespace ace::ACE_ISA::rows

namespace ace {

std::unique_ptr<RowBuilder> ACE_MAKE(Tables tables) {
    return std::make_unique<ACE_ISA::rows::Builder>(std::move(tables));
}

}  // namespace ace
