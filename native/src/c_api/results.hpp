// Where a caller's results go, as the engine takes it.
#pragma once
#include <cstdint>
#include <vector>

#include "ace/c_api.h"
#include "ace/evaluator.hpp"

namespace ace::c_api {

class Wanted {
  public:
    // Structure s has atoms first[s] to first[s + 1] - 1. Throws Error on outputs that the model,
    // with `most`, does not have.
    Wanted(const ace_results& given, int most, std::vector<int64_t> first);
    Wanted(const Wanted&) = delete;
    Wanted& operator=(const Wanted&) = delete;

    // The arrays of all structures, without strides.
    const Results& all() const { return all_; }
    // Outputs in forces and virials.
    int derived() const { return all_.combined() ? 1 : all_.outputs; }
    // Energies of structures out of those of atoms.
    void sum() const;

  private:
    const std::vector<int64_t> first_;
    double* const energy_;
    std::vector<double> energies_;  // of atoms, if the caller does not want them
    Results all_;
};

// The caller's function that says when to stop.
class Stop {
  public:
    Stop(int (*ask)(void*), void* context) : ask_(ask), context_(context), watch_(asked, this) {}
    // Null if there is no function.
    Watch* watch() { return ask_ ? &watch_ : nullptr; }

  private:
    static bool asked(void* stop) {
        const Stop& it = *static_cast<Stop*>(stop);
        return it.ask_(it.context_) != 0;
    }
    int (*const ask_)(void*);
    void* const context_;
    Watch watch_;
};

}  // namespace ace::c_api
