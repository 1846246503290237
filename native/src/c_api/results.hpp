// Results where callers want them. The engine writes each structure's outputs one after another,
// callers have each output's structures one after another: in between lies an array of ours.
#pragma once
#include <cstdint>
#include <vector>

#include "ace/c_api.h"
#include "ace/evaluator.hpp"

namespace ace::c_api {

class Wanted {
  public:
    // Structure s has atoms first[s] to first[s + 1] - 1. Throws Error on outputs that the model,
    // with `outputs`, does not have.
    Wanted(const ace_results& given, int outputs, std::vector<int64_t> first);

    // Where the engine writes what belongs to a structure.
    Results results(int64_t s);
    // What belongs to it is no number.
    void no_numbers(int64_t s);
    // To where the caller wants it.
    void deliver();

  private:
    // One quantity: `width` numbers for each of the atoms, or for each structure.
    struct Array {
        double* to;
        int width;
        bool whole;  // for each structure
        bool wanted;
        int outputs;
        std::vector<double> between{};
    };
    int64_t place(const Array& array, int64_t s) const;
    double* at(Array& array, int64_t s);
    double* centroids(int64_t s) const;

    const int outputs_;
    const std::vector<int64_t> first_;
    double* const energy_;
    const int derived_;  // outputs of which there are forces and virials
    Array energies_, forces_, virials_, virial_;
    double* const centroids_;  // of one output
    std::vector<double> weights_;  // [structure][output], empty if there are none
};

}  // namespace ace::c_api
