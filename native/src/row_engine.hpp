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

// Blocks of neighbours, and sites that touch them, whose dA_v/dr is held at a time.
constexpr int tile_blocks = 1, tile_sites = 4;

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
    Buffer<V> variables, tile;
    Buffer<V> energy, sums;  // [function], W atoms apart; [function][sum_vectors]
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
            if (out_.virial >= 0) shared_.geometry.sum<true>(site, plan, a + k);
            else shared_.geometry.sum<false>(site, plan, a + k);
        }
        x[plan.one] = V{} + 1.0;
        multiply(plan, x);
        for (int f = 0; f < plan.values.size(); f++) {
            const V value = sum(plan.values, f, x);
            w.energy.data()[plan.functions[f]] += value;
            if (plan.value_place[f] >= 0) x[plan.value_place[f]] = value;
        }
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

    // The blocks of thread t.
    void spread(const Batch& batch, Site* sites, int t, Workspace& w) {
        const RowPlan& plan = *shared_.plans[batch.species];
        for (size_t f = 0; f < plan.patterns.size(); f++) {
            if (out_.forces >= 0) {
                w.work.clear();
                for (int k = 0; k < batch.count; k++)
                    for (const Touched& touched : sites[k].touched[f])
                        if (touched.block % threads_ == t) w.work.push_back({k, touched});
                std::sort(w.work.begin(), w.work.end(), [](const Work& a, const Work& b) {
                    return std::make_pair(a.touched.block, a.site) <
                           std::make_pair(b.touched.block, b.site);
                });
                tiles(f, plan.patterns[f], sites, w);
            }
            if (out_.forces < 0 && out_.virial < 0) continue;
            for (int k = 0; k < batch.count;) {
                // Sites of one block have one owner.
                const int block = sites[k].place / W;
                int end = k + 1;
                while (end < batch.count && sites[end].place / W == block) end++;
                for (; k < end; k++) {
                    if (block % threads_ != t) continue;
                    if (end - k >= 4) {
                        whole<4>(shared_.families[f], plan.patterns[f], sites + k, w);
                        k += 3;
                    } else if (end - k >= 2) {
                        whole<2>(shared_.families[f], plan.patterns[f], sites + k, w);
                        k += 1;
                    } else {
                        whole<1>(shared_.families[f], plan.patterns[f], sites + k, w);
                    }
                }
            }
        }
    }

    // Takes the work of a few blocks and sites at a time.
    void tiles(size_t f, const Pattern& pattern, const Site* sites, Workspace& w) {
        size_t begin = 0;
        while (begin < w.work.size()) {
            int blocks[tile_blocks] = {}, count = 0;
            const Touched* touched[W][tile_blocks] = {};
            size_t end = begin;
            for (; end < w.work.size(); end++) {
                const Work& work = w.work[end];
                if (count == 0 || work.touched.block != blocks[count - 1]) {
                    if (count == tile_blocks) break;
                    blocks[count++] = work.touched.block;
                }
                touched[work.site][count - 1] = &work.touched;
            }
            const Site* chosen[W];
            int number = 0;
            for (int k = 0; k < W; k++) {
                bool any = false;
                for (int b = 0; b < count; b++) any = any || touched[k][b];
                if (!any) continue;
                std::copy_n(touched[k], tile_blocks, touched[number]);
                chosen[number++] = sites + k;
            }
            for (int k = 0; k < number;) {
                const int some = std::min(number - k, tile_sites);
                if (count == tile_blocks) tile<tile_blocks>(some, f, pattern, chosen + k, blocks, touched + k, w);
                else tile<1>(some, f, pattern, chosen + k, blocks, touched + k, w);
                k += some;
            }
            begin = end;
        }
    }

    template <int count>
    void tile(int sites, size_t f, const Pattern& pattern, const Site* const* site,
              const int* blocks, const Touched* (*touched)[tile_blocks], Workspace& w) {
        if (sites >= 4) tile<count, 4>(f, pattern, site, blocks, touched, w);
        else if (sites == 3) tile<count, 3>(f, pattern, site, blocks, touched, w);
        else if (sites == 2) tile<count, 2>(f, pattern, site, blocks, touched, w);
        else tile<count, 1>(f, pattern, site, blocks, touched, w);
    }

    // -dB_k/dr of the atoms of some blocks, summed over some sites.
    template <int count, int sites> __attribute__((noinline))
    void tile(size_t f, const Pattern& pattern, const Site* const* site, const int* blocks,
              const Touched* (*touched)[tile_blocks], Workspace& w) {
        constexpr int size = 3 * count;
        const Family& family = shared_.families[f];
        const size_t all = static_cast<size_t>(family.columns + pattern.kept) * size;
        V* d = w.tile.need(all * sites);
        const double* weight[sites];
        for (int s = 0; s < sites; s++) {
            weight[s] = site[s]->weights.data();
            for (int b = 0; b < count; b++) {
                V* to = d + s * all + 3 * b;
                if (touched[s][b]) {
                    shared_.geometry.slopes(*site[s], family, *touched[s][b], order_.span, to, size);
                } else {
                    for (int v = 0; v < family.columns; v++, to += size) to[0] = to[1] = to[2] = V{};
                }
            }
        }
        double* to[count];
        size_t stride[count];
        for (int b = 0; b < count; b++) to[b] = rows_of(blocks[b], stride[b]);
        for (int s = 0; s < sites; s++) keep<size>(family, pattern, weight[s], d + s * all);
        for (int k = 0; k < pattern.kept; k++) {
            V sum[size] = {};
            for (int s = 0; s < sites; s++)
                for (int q = 0; q < size; q++) sum[q] += d[s * all + (family.columns + k) * size + q];
            subtract<count>(sum, to, stride, pattern.function[k]);
        }
        const int* first = pattern.first.data();
        const int* column = pattern.column.data() + first[pattern.kept] - first[0];
        const int results = static_cast<int>(pattern.function.size());
        for (int k = pattern.kept; k < results; k++) {
            V sum[size] = {};
            for (int p = first[k]; p < first[k + 1]; p++) {
                const V* row = d + static_cast<size_t>(*column++) * size;
#pragma GCC unroll 4
                for (int s = 0; s < sites; s++) {
                    const V c = V{} + weight[s][p];
#pragma GCC unroll 12
                    for (int q = 0; q < size; q++) sum[q] += c * row[s * all + q];
                }
            }
            subtract<count>(sum, to, stride, pattern.function[k]);
        }
    }

    template <int count>
    static ACE_INLINE void subtract(const V* sum, double* const* to, const size_t* stride, size_t k) {
#pragma GCC unroll 4
        for (int b = 0; b < count; b++) {
            U* place = reinterpret_cast<U*>(to[b] + k * stride[b]);
#pragma GCC unroll 3
            for (int q = 0; q < 3; q++) place[q] -= sum[3 * b + q];
        }
    }

    // The results that are columns of others, of one site: rows of `size` vectors.
    template <int size>
    static __attribute__((noinline)) void keep(const Family& family, const Pattern& pattern, const double* weight, V* rows) {
        const int *column = pattern.column.data(), *first = pattern.first.data();
        V* out = rows + static_cast<size_t>(family.columns) * size;
        for (int k = 0; k < pattern.kept; k++, out += size) {
            V sum[size] = {};
            for (int p = first[k]; p < first[k + 1]; p++) {
                const V c = V{} + weight[p];
                const V* row = rows + static_cast<size_t>(*column++) * size;
#pragma GCC unroll 12
                for (int q = 0; q < size; q++) sum[q] += c * row[q];
            }
#pragma GCC unroll 12
            for (int q = 0; q < size; q++) out[q] = sum[q];
        }
    }

    // The sums over all neighbours of some sites: virial, and the forces on the central atoms.
    template <int sites> __attribute__((noinline))
    void whole(const Family& family, const Pattern& pattern, Site* site, Workspace& w) {
        const V* d[sites];
        const double* weight[sites];
        double* to[sites];
        size_t stride[sites] = {};
        for (int s = 0; s < sites; s++) {
            V* rows = site[s].sums.data() + static_cast<size_t>(pattern.begin) * sum_vectors;
            d[s] = rows;
            weight[s] = site[s].weights.data();
            keep<sum_vectors>(family, pattern, weight[s], rows);
            if (out_.forces >= 0) to[s] = rows_of(site[s].place / W, stride[s]) + site[s].place % W;
        }
        const int* first = pattern.first.data();
        const int* column = pattern.column.data() + first[pattern.kept] - first[0];
        const int results = static_cast<int>(pattern.function.size());
        for (int k = 0; k < results; k++) {
            V sum[sites][sum_vectors] = {};
            if (k < pattern.kept)
                for (int s = 0; s < sites; s++)
                    std::copy_n(d[s] + (family.columns + k) * sum_vectors, sum_vectors, sum[s]);
            else
                for (int p = first[k]; p < first[k + 1]; p++) {
                    const size_t row = static_cast<size_t>(*column++) * sum_vectors;
#pragma GCC unroll 4
                    for (int s = 0; s < sites; s++) {
                        const V c = V{} + weight[s][p];
#pragma GCC unroll 8
                        for (int q = 0; q < sum_vectors; q++) sum[s][q] += c * d[s][row + q];
                    }
                }
            const size_t function = pattern.function[k];
            V* all = w.sums.data() + function * sum_vectors;
#pragma GCC unroll 4
            for (int s = 0; s < sites; s++) {
#pragma GCC unroll 8
                for (int q = 0; q < sum_vectors; q++) all[q] += sum[s][q];
                if (out_.forces < 0) continue;
#pragma GCC unroll 3
                for (int q = 0; q < 3; q++)
                    to[s][function * stride[s] + q * W] +=
                        sum[s][(sum_move + q) / W][(sum_move + q) % W];
            }
        }
    }

    // Sums over threads, and the caller's order of atoms.
    void finish(int first, int last, Workspace& w) {
        const size_t full = static_cast<size_t>(atoms_ / W) * 3 * W;
        double* column = w.column.need(full + 3 * W);
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
            std::copy_n(rest_.data() + static_cast<size_t>(k) * 3 * W, 3 * W, column + full);
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
