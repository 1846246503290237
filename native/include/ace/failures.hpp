// What became of the structures of a call that could not be evaluated.
#pragma once
#include <vector>

#include "ace/errors.hpp"

namespace ace {

struct Failure {
    int structure;  // among those of the call
    Error error;
};

class Failures {
  public:
    void add(int structure, const Error& error);
    // In ascending order of structures; no other structure has failed.
    std::vector<Failure> all;
};

}  // namespace ace
