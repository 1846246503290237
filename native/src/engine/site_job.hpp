// The verbs of site values for the structures of a call. Made when one is first asked for: hosts
// that want energies only do without the plans.
#pragma once
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "ace/input.hpp"
#include "engine/jvp.hpp"
#include "engine/pullback.hpp"
#include "engine/site_sums.hpp"
#include "engine/site_values.hpp"

namespace ace::ACE_ISA {

// Values of a site that a thread has room for.
constexpr int most_rows = 1 << 20;

// T: what neighbours are computed in; A: what A's and all that is made of them.
template <class T, class A>
class SiteJob {
  public:
    explicit SiteJob(const Shared<T, A>& shared)
        : sites_(shared), values_(sites_), jvp_(sites_, shared), pullback_(sites_, shared), site_sums_(sites_, shared),
          call_(shared.tables, shared.cutoff, Workspace<T, A>::batch, sites_.costs()) {}

    // `first`: number of the first structure in the caller's order, for failures.
    void values(const Structure* in, int count, double* const* out, int first,
                const Options& options, Threads& pool) {
        const std::vector<Results> none(count);
        call_.set(in, count, none.data(), options.watch);
        run(options, pool,
            [&](const Batch& b, SiteWork<T, A>& w) { values_.batch(call_, b, w, out); });
        finish(out, first, options.failures);
    }

    void jvp(const Structure* in, int count, const Motion* motions, double* const* out, int first,
             const Options& options, Threads& pool) {
        const std::vector<Results> none(count);
        call_.set(in, count, none.data(), options.watch);
        run(options, pool,
            [&](const Batch& b, SiteWork<T, A>& w) { jvp_.batch(call_, b, w, motions, out); });
        finish(out, first, options.failures);
    }

    void pullback(const Structure* in, int count, const double* const* adjoints,
                  const Results* out, int first, const Options& options, Threads& pool) {
        call_.set(in, count, out, options.watch);
        run(options, pool,
            [&](const Batch& b, SiteWork<T, A>& w) { pullback_.batch(call_, b, w, adjoints); });
        reduce(options, pool);
        call_.finish(first, options.failures);
    }

    void pull_sums(const Structure* in, int count, const SlopesOfSums& slopes_of, const Results* out,
                   int first, const Options& options, Threads& pool) {
        call_.set(in, count, out, options.watch);
        prepare(options, pool);
        const int threads = options.threads;
        const size_t numbers = static_cast<size_t>(count) * sites_.rows;
        while (sums_.size() < static_cast<size_t>(threads))
            sums_.push_back(std::make_unique<SumWork<T, A>>());
        pool.run(
            threads,
            [&](int t) {
                SumWork<T, A>& k = *sums_[t];
                k.open();
                k.sums.zero(numbers);
                call_.each_batch(
                    t, [&](const Batch& b) { site_sums_.forward(call_, b, *work_[t], k); }, true);
                site_sums_.flush(k);
                k.open();
            },
            options.watch);
        if (options.watch) options.watch->check();
        double* sums = sums_[0]->sums.data();
        for (int u = 1; u < threads; u++)
            for (size_t r = 0; r < numbers; r++) sums[r] += sums_[u]->sums[r];
        for (int k = 0; k < count; k++)
            if (call_.has_failed(k))
                std::fill_n(sums + static_cast<size_t>(k) * sites_.rows, sites_.rows, 0.0);
        slopes_.need(numbers);
        slopes_of(first, count, sums, slopes_.data());
        pool.run(
            threads,
            [&](int t) {
                call_.each_again(t, [&](const Batch& b) {
                    site_sums_.backward(call_, b, *work_[t], *sums_[t], slopes_.data());
                });
            },
            options.watch);
        reduce(options, pool);
        call_.finish(first, options.failures);
    }

  private:
    void prepare(const Options& options, Threads& pool) {
        const int threads = options.threads;
        while (work_.size() < static_cast<size_t>(threads))
            work_.push_back(std::make_unique<SiteWork<T, A>>());
        call_.list_large(pool, threads);
        pool.run(threads, [&](int t) { call_.prepare(t, threads, work_[t]->sums); });
        if (options.watch) options.watch->check();
        call_.divide(threads, pool);
    }

    template <class F>
    void run(const Options& options, Threads& pool, F&& batch) {
        prepare(options, pool);
        pool.run(
            options.threads,
            [&](int t) { call_.each_batch(t, [&](const Batch& b) { batch(b, *work_[t]); }); },
            options.watch);
        if (options.watch) options.watch->check();
    }

    void reduce(const Options& options, Threads& pool) {
        if (options.watch) options.watch->check();
        pool.run(options.threads, [&](int t) {
            call_.reduce(t, options.threads, [&](int u) -> Sums& { return work_[u]->sums; });
        });
    }

    // What became of values, or of their derivatives.
    void finish(double* const* out, int first, Failures* failures) {
        call_.finish(
            first, failures,
            [&](const Piece& p) { check_values(*p.in, sites_.rows, out[p.number]); },
            [&](const Piece& p) { no_values(*p.in, sites_.rows, out[p.number]); });
    }

    const Sites<T, A> sites_;
    const SiteValues<T, A> values_;
    const SiteJvp<T, A> jvp_;
    const SitePullback<T, A> pullback_;
    const SiteSums<T, A> site_sums_;
    Call call_;
    std::vector<std::unique_ptr<SiteWork<T, A>>> work_;
    std::vector<std::unique_ptr<SumWork<T, A>>> sums_;  // of threads, where sums were asked for
    Scratch<double> slopes_;
};

}  // namespace ace::ACE_ISA
