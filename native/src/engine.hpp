// The evaluator for one instruction set. Compiled once for each, in a namespace ACE_ISA of its
// own, so that the linker cannot mix code for different processors.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/limits.hpp"
#include "ace/plan.hpp"
#include "ace/threads.hpp"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ace::ACE_ISA {

// Bytes of a vector, and what keeps its sums in registers: the largest tile of A's and of
// adjoints, and sums in the bilinear form.
#if defined(__AVX512F__)
constexpr int BYTES = 64, tile_radials = 5, tile_components = 5, pull_components = 6, most_sums = 24;
#elif defined(__AVX2__)
constexpr int BYTES = 32, tile_radials = 3, tile_components = 4, pull_components = 3, most_sums = 12;
#else
constexpr int BYTES = 16, tile_radials = 3, tile_components = 3, pull_components = 3, most_sums = 12;
#endif

constexpr int most_densities = 16, most_columns = 256;
// Densities that the product stage takes at once.
constexpr int densities_at_once = 4;

#include "simd.hpp"
#include "pull.hpp"
#include "angular.hpp"
#include "gather.hpp"
#include "couple.hpp"
#include "form.hpp"
#include "centre.hpp"
#include "embedding.hpp"
#include "search.hpp"
#include "scatter.hpp"

// What all threads share and nobody changes.
template <class T>
struct Shared {
    const Tables& tables;
    const double cutoff;  // the longest
    std::vector<std::unique_ptr<Centre<T>>> centres;
    const Tiles<T> tiles;
    const AngularTable<T, most_l> angular;
    std::vector<Curve> curves;  // [species * densities + density]

    explicit Shared(const Tables& given) : tables(given), cutoff(given.longest_cutoff()) {
        for (size_t k = 0; k < tables.embeddings.exponent.size(); k++)
            curves.emplace_back(tables.embeddings.shifted[k / tables.densities] != 0,
                                tables.embeddings.exponent[k]);
        for (int s = 0; s < tables.species; s++)
            centres.push_back(std::make_unique<Centre<T>>(tables, s));
    }
};

#include "workspace.hpp"
#include "geometry.hpp"
#include "radial.hpp"
#include "pair_stage.hpp"
#include "product_stage.hpp"
#include "force_stage.hpp"
#include "job.hpp"

// Structures of one call that are evaluated together have at least this many atoms for each
// thread: enough to fill batches, few enough for the cell lists of small cells to stay near.
constexpr int group_atoms = 256;

template <class T>
class Engine final : public Evaluator {
  public:
    explicit Engine(Tables tables)
        : tables_(std::move(tables)), shared_(tables_), job_(std::make_unique<Job<T>>(shared_)) {}

    const char* instruction_set() const override { return ACE_ISA_NAME; }
    const Tables& tables() const override { return tables_; }

    void evaluate(const Structure* in, int count, int threads, const Results* out) override {
        const std::lock_guard<Lock> guard(lock_);
        // Left as it is: a thread of the parent was in the middle of it.
        if (lock_.orphaned()) job_.release(), job_ = std::make_unique<Job<T>>(shared_);
        if (threads < 1) throw Error("evaluate: expected at least one thread");
        for (int k = 0; k < count; k++)
            if (out[k].outputs < 1 || out[k].outputs > tables_.outputs)
                throw Error("evaluate: this model has " + std::to_string(tables_.outputs - 1) +
                            " committee members");
        for (int begin = 0, end = 0; begin < count; begin = end) {
            for (int atoms = 0; end < count && atoms / threads < group_atoms; end++)
                atoms += in[end].atoms;
            job_->evaluate(in + begin, end - begin, threads, out + begin, pool_);
        }
    }

  private:
    const Tables tables_;
    const Shared<T> shared_;
    std::unique_ptr<Job<T>> job_;
    Threads pool_;
    Lock lock_;
};

}  // namespace ace::ACE_ISA

namespace ace {
std::unique_ptr<Evaluator> ACE_MAKE(Tables tables, bool single) {
    if (tables.densities > ACE_ISA::most_densities ||
        tables.outputs * tables.densities > ACE_ISA::most_columns)
        throw Error("tables: up to " + std::to_string(ACE_ISA::most_densities) +
                    " densities and " + std::to_string(ACE_ISA::most_columns - 1) +
                    " committee members are supported");
    if (single) return std::make_unique<ACE_ISA::Engine<float>>(std::move(tables));
    return std::make_unique<ACE_ISA::Engine<double>>(std::move(tables));
}
}  // namespace ace
