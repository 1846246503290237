// Structures of a caller, one after another in its arrays.
#pragma once
#include "ace/evaluator.hpp"
#include "model.hpp"
#include "sized.hpp"

namespace ace::c_api {

class Structures {
  public:
    // Throws Error on null arrays and on counts that do not fit.
    explicit Structures(const ace_structures* given);

    int64_t count() const { return in_.structures; }
    int64_t begin(int64_t s) const { return in_.first[s]; }
    int64_t atoms() const { return count() ? in_.first[count()] : 0; }
    int64_t atoms(int64_t s) const { return begin(s + 1) - begin(s); }
    int threads() const { return in_.threads ? in_.threads : 1; }
    Structure operator[](int64_t s) const;

  private:
    ace_structures in_;
};

}  // namespace ace::c_api
