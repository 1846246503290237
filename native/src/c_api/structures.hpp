// Structures of a caller, one after another in its arrays.
#pragma once
#include <vector>

#include "ace/concatenated.hpp"
#include "model.hpp"
#include "sized.hpp"

namespace ace::c_api {

class Structures {
  public:
    // Throws Error on null arrays and on counts that do not fit.
    explicit Structures(const ace_structures* given);

    int64_t count() const { return in_.structures; }
    int64_t atoms(int64_t s) const { return first_[s + 1] - first_[s]; }
    const std::vector<int64_t>& first() const { return first_; }
    int threads() const { return in_.threads ? in_.threads : 1; }
    const ace_structures& given() const { return in_; }
    // Structures, and where results go, for an evaluator.
    void split(const Results& all, std::vector<Structure>& in, std::vector<Results>& out) const;

  private:
    ace_structures in_;
    std::vector<int64_t> first_;
};

}  // namespace ace::c_api
