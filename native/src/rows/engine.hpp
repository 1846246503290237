// The row builder for one instruction set. Compiled once for each, in a namespace of its own.
//
// Atoms of one species that are close to each other go together, W at a time (a batch):
//   find      neighbours of each atom
//   arrange   those of a few of the atoms (a tile) get lanes, the same for the same neighbour
//   fill      R and Y of each atom's neighbours, A and the sums of dA/dr over them
//   products  atoms across the lanes: B_k, the virial, the forces on the atoms themselves, and the
//             numbers that dB_k/dA is made of
//   walk      neighbours across the lanes: -dB_k/dr of all functions, summed over the tile
// Force rows of the atoms of a slab are summed up and then written where the caller wants them.
// Threads share out the slabs: none waits for another, and no place is written by two. An atom with
// neighbours in several slabs is evaluated for each.
#pragma once
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "ace/evaluator.hpp"
#include "ace/input.hpp"
#include "ace/rows.hpp"
#include "ace/threads.hpp"
#include "rows/job.hpp"
#include "rows/shared.hpp"

namespace ace::ACE_ISA::rows {

class Builder final : public RowBuilder {
  public:
    explicit Builder(Tables tables) : shared_(std::move(tables)) {}

    void fill(const Crystal& crystal, int threads, const RowMatrix& out) override {
        Structure in;
        in.atoms = in.points = crystal.atoms;
        in.positions = crystal.positions;
        in.species = crystal.species;
        in.cell = crystal.cell;
        for (int d = 0; d < 3; d++) in.pbc[d] = crystal.pbc[d];
        check_input(in, threads);
        std::unique_ptr<Job> job = take();
        job->fill(in, threads, out);
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

#ifdef ACE_MAKE
namespace ace {

std::unique_ptr<RowBuilder> ACE_MAKE(Tables tables) {
    return std::make_unique<ACE_ISA::rows::Builder>(std::move(tables));
}

}  // namespace ace
#endif
