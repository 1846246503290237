// The row builder for one instruction set. Compiled once for each, in a namespace of its own, so
// that the linker cannot mix code for different processors.
//
// Atoms of one species go in batches of W:
//   sites      neighbours, R and Y of each atom; A_v and the sums of dA_v/dr over neighbours
//   products   W atoms across the lanes: B_k, and dB_k/dA_v in the fixed pattern of (k, v)
//   forces     for a few vectors of neighbours at a time dA_v/dr, which stays in the cache, and
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
constexpr int W = 8, B = 4;
#elif defined(__AVX2__)
constexpr int W = 4, B = 4;
#else
constexpr int W = 2, B = 2;
#endif
typedef double V __attribute__((vector_size(W * sizeof(double)), aligned(W * sizeof(double))));
// As many numbers as a block has atoms, anywhere in memory.
typedef double U __attribute__((vector_size(B * sizeof(double)), aligned(8), may_alias));

#include "row_harmonics.hpp"
#include "row_site.hpp"
#include "row_geometry.hpp"
#include "row_products.hpp"

// Touched vectors of neighbours whose dA_v/dr is held at a time.
constexpr int tile_size = 2;

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
    Buffer<V> variables, tile;
    Buffer<V> energy, sums;  // [function], W atoms apart; [function][sum_vectors]
    Buffer<double> column;
    double nowhere[3 * B];  // what no block needs
    std::vector<Touched> touched;
};

// The rows of one structure at a time.
class Job {
  public:
    explicit Job(const Shared& shared) : shared_(shared), tables_(shared.tables) {}

    void fill(const Crystal& in, int threads, const RowMatrix& out) {
        out_ = out;
        threads_ = threads;
        prepare(in);
        while (workspaces_.size() < static_cast<size_t>(threads))
            workspaces_.push_back(std::make_unique<Workspace>());
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
        order_.original = compact_order(in.positions, in.cell, in.pbc, in.species, in.atoms, B);
        order_.blocks = (atoms_ + B - 1) / B;
        order_.owners = threads_;
        for (order_.span = 1; order_.span < std::min(atoms_, W);) order_.span *= 2;
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
                source_[3 * i + d] = 3 * B * (place[i] / B) + B * d + place[i] % B;
        batches_.clear();
        for (int begin = 0; begin < atoms_;) {
            int end = begin;
            while (end < atoms_ && end < begin + W && order_.species[end] == order_.species[begin])
                end++;
            batches_.push_back({order_.species[begin], begin, end - begin});
            begin = end;
        }
        if (out_.forces >= 0) rest_.zeroed(static_cast<size_t>(3) * B * tables_.functions);
    }

    // A thread's share of everything. After a failure all stop at the next barrier.
    void run(int t, Barrier& barrier) {
        Workspace& w = *workspaces_[t];
        const int functions = tables_.functions;
        const int first = static_cast<int>(int64_t(functions) * t / threads_);
        const int last = static_cast<int>(int64_t(functions) * (t + 1) / threads_);
        guarded([&] {
            w.energy.zeroed(functions);
            w.sums.zeroed(static_cast<size_t>(functions) * sum_vectors);
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
    // last block may be incomplete and has a place of its own; no block writes to one nobody reads.
    double* rows_of(int block, size_t& stride, Workspace& w) {
        stride = block == no_block ? 0 : out_.stride;
        if (block == no_block) return w.nowhere;
        if (block < atoms_ / B) return out_.data + out_.forces + static_cast<size_t>(3) * B * block;
        stride = 3 * B;
        return rest_.data();
    }

    void spread(const Batch& batch, const Site* sites, int t, Workspace& w) {
        const RowPlan& plan = *shared_.plans[batch.species];
        for (int k = 0; k < batch.count; k++) {
            const Site& site = sites[k];
            for (int z = 0; z < tables_.species; z++) {
                const Pattern& pattern = plan.patterns[z];
                if (out_.forces >= 0) {
                    w.touched.clear();
                    for (const Touched& b : site.touched[z])
                        if (b.block[0] % threads_ == t) w.touched.push_back(b);
                    size_t b = 0;
                    for (; b + tile_size <= w.touched.size(); b += tile_size)
                        tile<tile_size>(z, pattern, site, &w.touched[b], w);
                    for (; b < w.touched.size(); b++) tile<1>(z, pattern, site, &w.touched[b], w);
                }
                if ((out_.forces >= 0 || out_.virial >= 0) && site.place / B % threads_ == t)
                    whole(pattern, site, w);
            }
        }
    }

    // -dB_k/dr of the atoms of some blocks.
    template <int count>
    void tile(int z, const Pattern& pattern, const Site& site, const Touched* touched,
              Workspace& w) {
        constexpr int size = 3 * count, blocks = count * W / B;
        V* d = w.tile.need(static_cast<size_t>(pattern.end - pattern.begin) * size);
        for (int b = 0; b < count; b++)
            shared_.geometry.slopes(site, z, touched[b], order_.span, d + 3 * b, size);
        double* to[blocks];
        size_t stride[blocks];
        for (int b = 0; b < blocks; b++)
            to[b] = rows_of(touched[b * B / W].block[b % (W / B)], stride[b], w);
        const double* weight = site.weights.data();
        const int *column = pattern.column.data(), *first = pattern.first.data();
        const size_t functions = pattern.function.size();
        for (size_t f = 0; f < functions; f++) {
            V sum[size] = {};
            for (int p = first[f]; p < first[f + 1]; p++) {
                const V c = V{} + weight[p];
                const V* row = d + static_cast<size_t>(*column++) * size;
#pragma GCC unroll 12
                for (int q = 0; q < size; q++) sum[q] += c * row[q];
            }
            const size_t k = pattern.function[f];
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++) {
                U* place = reinterpret_cast<U*>(to[b] + k * stride[b]);
#pragma GCC unroll 3
                for (int q = 0; q < 3; q++)
                    place[q] -= part(sum[3 * (b * B / W) + q], b % (W / B));
            }
        }
    }

    // The sums over all neighbours: virial, and the force on the central atom.
    void whole(const Pattern& pattern, const Site& site, Workspace& w) {
        const V* d = site.sums.data() + static_cast<size_t>(pattern.begin) * sum_vectors;
        size_t stride = 0;
        double* to = nullptr;
        if (out_.forces >= 0) to = rows_of(site.place / B, stride, w) + site.place % B;
        const double* weight = site.weights.data();
        const int *column = pattern.column.data(), *first = pattern.first.data();
        const size_t functions = pattern.function.size();
        for (size_t f = 0; f < functions; f++) {
            V sum[sum_vectors] = {};
            for (int p = first[f]; p < first[f + 1]; p++) {
                const V c = V{} + weight[p];
                const V* row = d + static_cast<size_t>(*column++) * sum_vectors;
#pragma GCC unroll 8
                for (int q = 0; q < sum_vectors; q++) sum[q] += c * row[q];
            }
            const size_t k = pattern.function[f];
            V* all = w.sums.data() + k * sum_vectors;
#pragma GCC unroll 8
            for (int q = 0; q < sum_vectors; q++) all[q] += sum[q];
            if (!to) continue;
#pragma GCC unroll 3
            for (int q = 0; q < 3; q++)
                to[k * stride + q * B] += sum[(sum_move + q) / W][(sum_move + q) % W];
        }
    }

    // Sums over threads, and the caller's order of atoms.
    void finish(int first, int last, Workspace& w) {
        const size_t full = static_cast<size_t>(atoms_ / B) * 3 * B;
        double* column = w.column.need(full + 3 * B);
        for (int k = first; k < last; k++) {
            double* out = out_.data + k * out_.stride;
            if (out_.energy >= 0) {
                V energy = V{};
                for (int t = 0; t < threads_; t++) energy += workspaces_[t]->energy.data()[k];
                out[out_.energy] = 0;
                for (int q = 0; q < W; q++) out[out_.energy] += energy[q];
            }
            for (int q = 0; q < 6 && out_.virial >= 0; q++) {
                out[out_.virial + q] = 0;
                for (int t = 0; t < threads_; t++)
                    out[out_.virial + q] += reinterpret_cast<const double*>(
                        workspaces_[t]->sums.data() + static_cast<size_t>(k) * sum_vectors)[q];
            }
            if (out_.forces < 0) continue;
            std::copy_n(out + out_.forces, full, column);
            std::copy_n(rest_.data() + static_cast<size_t>(k) * 3 * B, 3 * B, column + full);
            const size_t rows = source_.size();
            const int* source = source_.data();
            for (size_t r = 0; r < rows; r++) out[out_.forces + r] = column[source[r]];
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
