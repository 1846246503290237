// Atoms with a caller's list, as positions or as vectors to neighbours.
#pragma once
#include <vector>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "model.hpp"

namespace ace::c_api {

class Neighbours {
  public:
    // Throws Error on null arrays, on counts that do not fit, and on neighbours there are not.
    explicit Neighbours(const ace_neighbours* given);

    int threads() const { return in_.threads ? in_.threads : 1; }
    int64_t atoms() const { return in_.atoms; }
    bool vectors() const { return in_.vectors != nullptr; }
    const ace_neighbours& given() const { return in_; }
    // As the engine takes it: with vectors every neighbour is a point of its own, seen from its
    // atom in the origin.
    Structure structure() const;
    // How the engine's points move if the caller's do and, beyond that, the vectors; either may be
    // null. Empty: nothing moves.
    std::vector<double> motion(const double* displacements,
                               const double* edge_displacements) const;
    // Forces on the engine's points to those on the caller's and on edges; either may be null.
    void collect(int outputs, const double* from, double* forces, double* edge_forces) const;
    // The same failure in the caller's numbers.
    Error named(const Error& error) const;

  private:
    void check() const;
    void spread();
    int64_t edges() const { return in_.first[in_.atoms]; }

    ace_neighbours in_;
    std::vector<double> positions_;
    std::vector<int32_t> species_, neighbours_;
};

}  // namespace ace::c_api
