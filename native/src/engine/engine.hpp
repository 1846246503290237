// The evaluator for one instruction set. Compiled once for each, in a namespace ACE_ISA of its
// own.
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/interrupt.hpp"
#include "ace/threads.hpp"
#include "engine/call.hpp"
#include "engine/deviation.hpp"
#include "engine/energies.hpp"
#include "engine/shared.hpp"
#include "engine/site_job.hpp"
#include "engine/workspace.hpp"

namespace ace::ACE_ISA {

// Structures of one call that are evaluated together have at least this many atoms for each
// thread: enough to fill batches, few enough for the cell lists of small cells to stay near.
constexpr int group_atoms = 256;

// What a call works with and leaves for the next one.
template <class T, class A>
struct Job {
    Energies<T, A> energies;
    Call call;
    std::vector<std::unique_ptr<Workspace<T, A>>> work;

    explicit Job(const Shared<T, A>& shared)
        : energies(shared),
          call(shared.tables, shared.cutoff, Workspace<T, A>::batch, energies.costs()) {}

    void evaluate(const Structure* in, int count, int threads, const Results* out, Watch* watch,
                  Threads& pool) {
        call.set(in, count, out, watch);
        while (work.size() < static_cast<size_t>(threads))
            work.push_back(std::make_unique<Workspace<T, A>>());
        call.list_large(pool, threads);
        pool.run(threads, [&](int t) { call.prepare(t, threads, work[t]->sums); });
        if (watch) watch->check();
        call.divide(threads, pool);
        energies.prepare(call);
        pool.run(
            threads,
            [&](int t) {
                call.each_batch(t, [&](const Batch& b) { energies.batch(call, b, *work[t]); });
            },
            watch);
        if (watch) watch->check();
        pool.run(threads, [&](int t) {
            call.reduce(t, threads, [&](int u) -> Sums& { return work[u]->sums; });
        });
    }
};

template <class T, class A>
class Engine final : public Evaluator {
  public:
    explicit Engine(Tables tables)
        : tables_(std::move(tables)), shared_(tables_), job_(std::make_unique<Job<T, A>>(shared_)) {}

    void deviations(const Factor& g, const double* b, int count, double* sigma,
                    double* slopes) const override {
        deviations_of(g, b, count, sigma, slopes);
    }

    const char* instruction_set() const override { return ACE_ISA_NAME; }
    const Tables& tables() const override { return tables_; }

    using Evaluator::evaluate;
    void evaluate(const Structure* in, int count, const Results* out,
                  const Options& options) override {
        const std::lock_guard<Lock> guard(lock_);
        restore();
        const int threads = options.threads;
        if (threads < 1) throw Error("evaluate: expected at least one thread");
        if (!tables_.is_energy())
            throw Error("evaluate: only models of true scalars have an energy; these tables are " +
                        tables_.description() + "; use values and pullback");
        for (int k = 0; k < count; k++)
            if (out[k].outputs < 1 || out[k].outputs > tables_.outputs)
                throw Error("evaluate: this model has " + std::to_string(tables_.outputs - 1) +
                            " committee members");
            else if (out[k].combined() != out[0].combined())
                throw Error("evaluate: expected weights of all structures or of none");
        each_group(in, count, threads, [&](int begin, int size) {
            job_->evaluate(in + begin, size, threads, out + begin, options.watch, pool_);
            job_->call.finish(begin, options.failures);
        });
    }

    void values(const Structure* in, int count, double* const* out,
                const Options& options) override {
        with_sites(in, count, options, [&](SiteJob<T, A>& job, int begin, int size) {
            job.values(in + begin, size, out + begin, begin, options, pool_);
        });
    }

    void jvp(const Structure* in, int count, const Motion* motions, double* const* out,
             const Options& options) override {
        with_sites(in, count, options, [&](SiteJob<T, A>& job, int begin, int size) {
            job.jvp(in + begin, size, motions + begin, out + begin, begin, options, pool_);
        });
    }

    void pullback(const Structure* in, int count, const double* const* adjoints,
                  const Results* out, const Options& options) override {
        require_plain(out, count, "pullback");
        with_sites(in, count, options, [&](SiteJob<T, A>& job, int begin, int size) {
            job.pullback(in + begin, size, adjoints + begin, out + begin, begin, options, pool_);
        });
    }

    void pull_sums(const Structure* in, int count, const SlopesOfSums& slopes_of,
                   const Results* out, const Options& options) override {
        require_plain(out, count, "pull_sums");
        with_sites(in, count, options, [&](SiteJob<T, A>& job, int begin, int size) {
            job.pull_sums(in + begin, size, slopes_of, out + begin, begin, options, pool_);
        });
    }

  private:
    static void require_plain(const Results* out, int count, const char* verb) {
        for (int k = 0; k < count; k++)
            if (out[k].outputs != 1 || out[k].energies || out[k].combined())
                throw Error(std::string(verb) +
                            ": expected results of one output without energies or weights");
    }

    // What a forked child finds half changed is left as it is: a thread of the parent was in the
    // middle of it.
    void restore() {
        if (!lock_.orphaned()) return;
        job_.release(), job_ = std::make_unique<Job<T, A>>(shared_);
        sites_.release();
    }

    // Calls f(first structure, how many) for those that are evaluated together.
    template <class F>
    static void each_group(const Structure* in, int count, int threads, F f) {
        for (int begin = 0, end = 0; begin < count; begin = end) {
            for (int atoms = 0; end < count && atoms / threads < group_atoms; end++)
                atoms += in[end].atoms;
            f(begin, end - begin);
        }
    }

    template <class F>
    void with_sites(const Structure* in, int count, const Options& options, F f) {
        const std::lock_guard<Lock> guard(lock_);
        restore();
        if (options.threads < 1) throw Error("expected at least one thread");
        if (tables_.rows() > most_rows)
            throw Error("more than " + std::to_string(most_rows) +
                        " values of a site are not supported, got " +
                        std::to_string(tables_.rows()));
        if (!sites_) sites_ = std::make_unique<SiteJob<T, A>>(shared_);
        each_group(in, count, options.threads,
                   [&](int begin, int size) { f(*sites_, begin, size); });
    }

    const Tables tables_;
    const Shared<T, A> shared_;
    std::unique_ptr<Job<T, A>> job_;
    std::unique_ptr<SiteJob<T, A>> sites_;  // null until asked for
    Threads pool_;
    Lock lock_;
};

}  // namespace ace::ACE_ISA

#ifdef ACE_MAKE
namespace ace {
std::unique_ptr<Evaluator> ACE_MAKE(Tables tables, Precision precision) {
    if (tables.is_energy() &&
        (tables.densities > ACE_ISA::most_densities ||
         tables.outputs * tables.densities > ACE_ISA::most_columns))
        throw Error("tables: up to " + std::to_string(ACE_ISA::most_densities) +
                    " densities and " + std::to_string(ACE_ISA::most_columns - 1) +
                    " committee members are supported");
    switch (precision) {
        case Precision::single:
            return std::make_unique<ACE_ISA::Engine<float, float>>(std::move(tables));
        case Precision::mixed:
            return std::make_unique<ACE_ISA::Engine<float, double>>(std::move(tables));
        default: return std::make_unique<ACE_ISA::Engine<double, double>>(std::move(tables));
    }
}
}  // namespace ace
#endif
