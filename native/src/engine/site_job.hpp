// The verbs of site values for the structures of a call. Made when one is first asked for: hosts
// that want energies only do without the plans.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/jvp.hpp"
#include "engine/pullback.hpp"
#include "engine/site_values.hpp"

namespace ace::ACE_ISA {

// Values of a site that a thread has room for.
constexpr int most_rows = 1 << 20;

// T: what neighbours are computed in; A: what A's and all that is made of them.
template <class T, class A>
class SiteJob {
  public:
    explicit SiteJob(const Shared<T, A>& shared)
        : call_(shared.tables, shared.cutoff, Simd<A>::W, {}), sites_(shared), values_(sites_),
          jvp_(sites_, shared), pullback_(sites_, shared) {}

    void values(const Structure* in, int count, int threads, double* const* out, Threads& pool) {
        const std::vector<Results> none(count, nothing());
        call_.set(in, count, none.data(), nullptr);
        run(threads, pool, [&](const Batch& b, SiteWork<T, A>& w) { values_.batch(call_, b, w, out); });
        call_.finish(0, nullptr);
    }

    void jvp(const Structure* in, int count, int threads, const Motion* motions,
             double* const* out, Threads& pool) {
        const std::vector<Results> none(count, nothing());
        call_.set(in, count, none.data(), nullptr);
        run(threads, pool, [&](const Batch& b, SiteWork<T, A>& w) {
            jvp_.batch(call_, b, w, motions, out);
        });
        call_.finish(0, nullptr);
    }

    void pullback(const Structure* in, int count, int threads, const double* const* adjoints,
                  const Results* out, Threads& pool) {
        call_.set(in, count, out, nullptr);
        run(threads, pool, [&](const Batch& b, SiteWork<T, A>& w) {
            pullback_.batch(call_, b, w, adjoints);
        });
        pool.run(threads, [&](int t) {
            call_.reduce(t, threads, [&](int u) -> Sums& { return work_[u]->sums; });
        });
        call_.finish(0, nullptr);
    }

  private:
    static Results nothing() {
        Results none;
        none.outputs = 0;
        return none;
    }

    template <class F>
    void run(int threads, Threads& pool, F&& batch) {
        while (work_.size() < static_cast<size_t>(threads))
            work_.push_back(std::make_unique<SiteWork<T, A>>());
        call_.list_large(pool, threads);
        pool.run(threads, [&](int t) { call_.prepare(t, threads, work_[t]->sums); });
        call_.divide(threads, pool);
        pool.run(threads, [&](int t) {
            call_.each_batch(t, [&](const Batch& b) { batch(b, *work_[t]); });
        });
    }

    Call call_;
    const Sites<T, A> sites_;
    const SiteValues<T, A> values_;
    const SiteJvp<T, A> jvp_;
    const SitePullback<T, A> pullback_;
    std::vector<std::unique_ptr<SiteWork<T, A>>> work_;
};

}  // namespace ace::ACE_ISA
