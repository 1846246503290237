// The row builder for one instruction set. Compiled once for each, in a namespace of its own, so
// that the linker cannot mix code for different processors.
//
// Atoms of one species in one block of W places go together:
//   sites      neighbours, R and Y of each atom; A_v and the sums of dA_v/dr over neighbours
//   products   atoms across the lanes: B_k, and dB_k/dA_v in the fixed pattern of (k, v)
//   whole      atoms across the lanes: the virial, and the forces on the central atoms
//   tiles      for W neighbours of a few atoms at a time dA_v/dr, which stays in the cache, and
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

// Sites that touch a block whose dA_v/dr is held at a time.
constexpr int tile_sites = 4;
// How many functions ahead force rows are asked for.
constexpr int ahead = 8;

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
    const std::vector<Family> families;
    const Geometry geometry;
    std::vector<std::unique_ptr<RowPlan>> plans;

    explicit Shared(Tables given)
        : tables(std::move(given)), families(ace::families(tables)), geometry(tables, families) {
        for (int s = 0; s < tables.species; s++)
            plans.push_back(std::make_unique<RowPlan>(tables, families, s));
    }
};

// A block that a site of the batch touches.
struct Work {
    int site;
    Touched touched;
};

// What one thread works with; it grows to the largest structure and is kept.
struct Workspace {
    Site sites[W];
    Geometry::Scratch scratch;
    Buffer<V> variables, weights;  // by atom of the batch in lanes: x of the plan; dB_k/dA_v, [pair]
    Buffer<V> sums, moments;       // [column][lane][sum_vectors]; [column and kept][moment_count]
    Buffer<V> tile;
    Buffer<V> energy, virial;      // [function], lanes apart; [function][virial_vectors]
    Buffer<double> column;
    std::vector<Work> work;
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
    // Atoms of one species in one block; each has the lane of its place.
    struct Batch {
        int species, begin, count;
    };

    void prepare(const Crystal& in) {
        for (int i = 0; i < in.atoms; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom " + std::to_string(i) + " has an unknown species");
        cells_.build(in.atoms, in.positions, in.cell, in.pbc, in.species, tables_.longest_cutoff());
        atoms_ = in.atoms;
        order_.original = compact_order(in.positions, in.cell, in.pbc, in.species, in.atoms, W);
        order_.blocks = (atoms_ + W - 1) / W;
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
                source_[3 * i + d] = 3 * W * (place[i] / W) + W * d + place[i] % W;
        batches_.clear();
        for (int begin = 0; begin < atoms_;) {
            int end = begin;
            while (end < atoms_ && end / W == begin / W &&
                   order_.species[end] == order_.species[begin])
                end++;
            batches_.push_back({order_.species[begin], begin, end - begin});
            begin = end;
        }
        // Of the caller's columns only whole vectors at aligned places are used.
        direct_ = std::max(0, 3 * atoms_ - (W - 1)) / (3 * W);
        rest_stride_ = static_cast<size_t>(3) * (order_.blocks - direct_);
        if (out_.forces >= 0) rest_.zeroed(rest_stride_ * tables_.functions);
    }

    // A thread's share of everything. After a failure all stop at the next barrier.
    void run(int t, Barrier& barrier) {
        Workspace& w = *workspaces_[t];
        const int functions = tables_.functions;
        const int first = static_cast<int>(int64_t(functions) * t / threads_);
        const int last = static_cast<int>(int64_t(functions) * (t + 1) / threads_);
        guarded([&] {
            w.energy.zeroed(functions);
            w.virial.zeroed(static_cast<size_t>(functions) * virial_vectors);
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
                    spread(batches_[begin + u], *workspaces_[u], t, w);
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

    __attribute__((noinline)) void sites(const Batch& batch, Workspace& w) {
        const RowPlan& plan = *shared_.plans[batch.species];
        const int lane = batch.begin % W;
        w.sums.need(static_cast<size_t>(shared_.geometry.columns()) * W * sum_vectors);
        w.moments.need(static_cast<size_t>(plan.patterns.back().begin +
                                           shared_.families.back().columns +
                                           plan.patterns.back().kept) * moment_count);
        for (int k = 0; k < batch.count; k++) {
            Site& site = w.sites[k];
            site.place = batch.begin + k;
            shared_.geometry.fill(site, cells_, order_, w.scratch);
            V* sums = w.sums.data() + (lane + k) * sum_vectors;
            if (out_.virial >= 0) shared_.geometry.sum<true>(site, sums);
            else shared_.geometry.sum<false>(site, sums);
        }
        V* x = w.variables.need(plan.variables);
        shared_.geometry.turn(plan, w.sums.data(), lane, lane + batch.count, x, w.moments.data());
        x[plan.one] = V{} + 1.0;
        multiply(plan, x);
        for (int f = 0; f < plan.values.size(); f++) {
            const V value = sum(plan.values, f, x);
            w.energy.data()[plan.functions[f]] += value;
            if (plan.value_place[f] >= 0) x[plan.value_place[f]] = value;
        }
        if (out_.forces < 0 && out_.virial < 0) return;
        V* weights = w.weights.need(plan.slopes.size());
        for (int row = 0; row < plan.slopes.size(); row++) weights[row] = sum(plan.slopes, row, x);
    }

    // ---- forces and virials

    // Where the force rows of a block begin in every column, once rounded up to whole vectors, and
    // how far apart functions are. The last blocks have a place of their own.
    double* rows_of(int block, size_t& stride) {
        if (block < direct_) {
            stride = out_.stride;
            return out_.data + out_.forces + static_cast<size_t>(3) * W * block;
        }
        stride = rest_stride_ * W;
        return reinterpret_cast<double*>(rest_.data() + 3 * (block - direct_));
    }

    static ACE_INLINE V* aligned(double* place) {
        return reinterpret_cast<V*>((reinterpret_cast<uintptr_t>(place) + sizeof(V) - 1) &
                                    ~(sizeof(V) - 1));
    }

    // The blocks of thread t.
    void spread(const Batch& batch, Workspace& from, int t, Workspace& w) {
        const RowPlan& plan = *shared_.plans[batch.species];
        for (size_t f = 0; f < plan.patterns.size(); f++) {
            if (out_.forces >= 0) {
                w.work.clear();
                for (int k = 0; k < batch.count; k++)
                    for (const Touched& touched : from.sites[k].touched[f])
                        if (touched.block % threads_ == t) w.work.push_back({k, touched});
                std::sort(w.work.begin(), w.work.end(), [](const Work& a, const Work& b) {
                    return std::make_pair(a.touched.block, a.site) <
                           std::make_pair(b.touched.block, b.site);
                });
                tiles(f, plan.patterns[f], from, w);
            }
            if (batch.begin / W % threads_ != t) continue;
            if (out_.virial >= 0) whole<0>(f, plan.patterns[f], batch.begin / W, from, w);
            else if (out_.forces >= 0) whole<moment_move>(f, plan.patterns[f], batch.begin / W, from, w);
        }
    }

    // Takes the work of one block and a few sites at a time.
    void tiles(size_t f, const Pattern& pattern, const Workspace& from, Workspace& w) {
        for (size_t begin = 0, end; begin < w.work.size(); begin = end) {
            for (end = begin; end < w.work.size() && end < begin + tile_sites &&
                              w.work[end].touched.block == w.work[begin].touched.block;)
                end++;
            const Work* work = w.work.data() + begin;
            switch (end - begin) {
                case 4: tile<4>(f, pattern, from, work, w); break;
                case 3: tile<3>(f, pattern, from, work, w); break;
                case 2: tile<2>(f, pattern, from, work, w); break;
                default: tile<1>(f, pattern, from, work, w);
            }
        }
    }

    // -dB_k/dr of the atoms of a block, summed over some sites. Rows hold three vectors a site.
    template <int sites>
    __attribute__((noinline)) void tile(size_t f, const Pattern& pattern, const Workspace& from,
                                        const Work* work, Workspace& w) {
        constexpr int size = 3 * sites;
        const Family& family = shared_.families[f];
        V* d = w.tile.need(static_cast<size_t>(family.columns + pattern.kept) * size);
        const double* weight[sites];
        for (int s = 0; s < sites; s++) {
            const Site& site = from.sites[work[s].site];
            weight[s] = reinterpret_cast<const double*>(from.weights.data()) + site.place % W;
            shared_.geometry.slopes(site, family, work[s].touched, order_.span, d + 3 * s, size);
        }
        size_t stride;
        double* to = rows_of(work[0].touched.block, stride);
        const int* first = pattern.first.data();
        const int* column = pattern.column.data();
        V* kept = d + static_cast<size_t>(family.columns) * size;
        for (int k = 0; k < pattern.kept; k++, kept += size) {
            V sum[size] = {};
            for (int p = first[k]; p < first[k + 1]; p++) {
                const V* row = d + static_cast<size_t>(*column++) * size;
#pragma GCC unroll 4
                for (int s = 0; s < sites; s++) {
                    const V c = V{} + weight[s][static_cast<size_t>(p) * W];
#pragma GCC unroll 3
                    for (int q = 0; q < 3; q++) sum[3 * s + q] += c * row[3 * s + q];
                }
            }
            V all[3] = {};
#pragma GCC unroll 12
            for (int q = 0; q < size; q++) {
                kept[q] = sum[q];
                all[q % 3] += sum[q];
            }
            V* out = aligned(to + pattern.function[k] * stride);
#pragma GCC unroll 3
            for (int q = 0; q < 3; q++) out[q] -= all[q];
        }
        const int results = static_cast<int>(pattern.function.size());
        for (int k = pattern.kept; k < results; k++) {
            // Columns of the matrix are far apart, and too many for the near caches.
            if (k + ahead < results) {
                const V* next = aligned(to + pattern.function[k + ahead] * stride);
                for (int q = 0; q < 3; q++) __builtin_prefetch(next + q, 1);
            }
            V* out = aligned(to + pattern.function[k] * stride);
            V sum[3] = {out[0], out[1], out[2]};
            for (int p = first[k]; p < first[k + 1]; p++) {
                const V* row = d + static_cast<size_t>(*column++) * size;
#pragma GCC unroll 4
                for (int s = 0; s < sites; s++) {
                    const V c = V{} + weight[s][static_cast<size_t>(p) * W];
#pragma GCC unroll 3
                    for (int q = 0; q < 3; q++) sum[q] -= c * row[3 * s + q];
                }
            }
#pragma GCC unroll 3
            for (int q = 0; q < 3; q++) out[q] = sum[q];
        }
    }

    // The sums over all neighbours of a batch, atoms in their lanes: virial, and the forces on the
    // central atoms.
    template <int begin>
    __attribute__((noinline)) void whole(size_t f, const Pattern& pattern, int block,
                                         Workspace& from, Workspace& w) {
        const Family& family = shared_.families[f];
        V* rows = from.moments.data() + static_cast<size_t>(pattern.begin) * moment_count;
        const V* weight = from.weights.data();
        size_t stride = 0;
        double* to = out_.forces >= 0 ? rows_of(block, stride) : nullptr;
        const int* first = pattern.first.data();
        const int* column = pattern.column.data();
        const int results = static_cast<int>(pattern.function.size());
        for (int k = 0; k < results; k++) {
            V sum[moment_count] = {};
            for (int p = first[k]; p < first[k + 1]; p++) {
                const V c = weight[p], *row = rows + static_cast<size_t>(*column++) * moment_count;
#pragma GCC unroll 9
                for (int q = begin; q < moment_count; q++) sum[q] += c * row[q];
            }
            if (k < pattern.kept) {
                V* kept = rows + static_cast<size_t>(family.columns + k) * moment_count;
#pragma GCC unroll 9
                for (int q = begin; q < moment_count; q++) kept[q] = sum[q];
            }
            const size_t function = pattern.function[k];
            if (to) {
                V* out = aligned(to + function * stride);
#pragma GCC unroll 3
                for (int q = 0; q < 3; q++) out[q] += sum[moment_move + q];
            }
            if constexpr (begin == 0) {
                V* all = w.virial.data() + function * virial_vectors;
                V padded[virial_vectors * W] = {};
#pragma GCC unroll 6
                for (int q = 0; q < moment_move; q++) padded[q] = sum[q];
#pragma GCC unroll 3
                for (int v = 0; v < virial_vectors; v++) all[v] += lane_sums<W>(padded + v * W);
            }
        }
    }

    // Sums over threads, and the caller's order of atoms.
    __attribute__((noinline)) void finish(int first, int last, Workspace& w) {
        const size_t full = static_cast<size_t>(direct_) * 3 * W, rest = rest_stride_ * W;
        double* column = w.column.need(full + rest);
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
                        workspaces_[t]->virial.data() + static_cast<size_t>(k) * virial_vectors)[q];
            }
            if (out_.forces < 0) continue;
            std::copy_n(reinterpret_cast<const double*>(aligned(out + out_.forces)), full, column);
            std::copy_n(reinterpret_cast<const double*>(rest_.data()) + k * rest, rest, column + full);
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
    int direct_ = 0;            // blocks that lie in the caller's matrix
    size_t rest_stride_ = 0;    // vectors of the other blocks
    std::vector<int> source_;  // of every force row in blocks of places
    std::vector<Batch> batches_;
    std::vector<std::unique_ptr<Workspace>> workspaces_;
    Buffer<V> rest_;  // force rows of the last blocks, [function][block][xyz]
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
