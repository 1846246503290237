// The row builder for one instruction set. Compiled once for each, in a namespace of its own, so
// that the linker cannot mix code for different processors.
//
// Atoms of one species in one block of W places go together:
//   sites      neighbours, R and Y of each atom; A_v and the sums of dA_v/dr over neighbours
//   products   atoms across the lanes: B_k, and dB_k/dA_v in the fixed pattern of (k, v)
//   whole      atoms across the lanes: the virial, and the forces on the central atoms
// When a few megabytes of that are there, block after block of W neighbours:
//   tiles      for a few of the atoms near it dA_v/dr, which stays in the cache, and
//              sum_v dB_k/dA_v dA_v/dr in registers, function after function
// The force rows of a block are summed up in the near cache and then written where the caller
// wants them. Threads share out the atoms, then the blocks: no place is written by two.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/input.hpp"
#include "ace/limits.hpp"
#include "ace/rows.hpp"
#include "ace/threads.hpp"
#include "rows/plan.hpp"

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

#include "rows/harmonics.hpp"
#include "rows/site.hpp"
#include "rows/radial.hpp"
#include "rows/moments.hpp"
#include "rows/geometry.hpp"
#include "rows/products.hpp"
#include "rows/walk.hpp"
#include "rows/batch.hpp"
#include "rows/block.hpp"
#include "rows/job.hpp"

class Builder final : public RowBuilder {
  public:
    explicit Builder(Tables tables) : shared_(std::move(tables)) {}

    void fill(const Crystal& crystal, int threads, const RowMatrix& out) override {
        check_threads(threads);
        std::unique_ptr<Job> job = take();
        job->fill(crystal, threads, out);
        const std::lock_guard<Lock> guard(lock_);
        idle_.push_back(std::move(job));
    }

    const char* instruction_set() const override { return ACE_ISA_NAME; }
    int functions() const override { return shared_.tables.functions; }

  private:
    std::unique_ptr<Job> take() {
        const std::lock_guard<Lock> guard(lock_);
        if (lock_.orphaned()) new (&idle_) std::vector<std::unique_ptr<Job>>;  // the old one stays
        if (idle_.empty()) return std::make_unique<Job>(shared_);
        std::unique_ptr<Job> job = std::move(idle_.back());
        idle_.pop_back();
        return job;
    }

    const Shared shared_;
    Lock lock_;
    std::vector<std::unique_ptr<Job>> idle_;  // one for every call at the same time
};

}  // namespace ace::ACE_ISA::rows

namespace ace {

std::unique_ptr<RowBuilder> ACE_MAKE(Tables tables) {
    return std::make_unique<ACE_ISA::rows::Builder>(std::move(tables));
}

}  // namespace ace
