// Calls on one structure, in a cell or with a caller's list.
#include <string>
#include <vector>

#include "ace/input.hpp"
#include "failure.hpp"
#include "model.hpp"
#include "results.hpp"
#include "sized.hpp"

namespace ace::c_api {
namespace {

int evaluate(ace_evaluator* e, const Structure& in, int threads, const Results& out) {
    return guarded([&] {
        Evaluator& evaluator = *model(e).evaluator;
        check_input(in, threads);
        evaluator.evaluate(&in, 1, threads, &out);
    });
}

}  // namespace
}  // namespace ace::c_api

using namespace ace::c_api;

extern "C" {

int ace_evaluate(ace_evaluator* e, int n, const double* positions, const int32_t* species,
                 const double* cell, const int* pbc, int threads, int outputs, double* energies,
                 double* forces, double* virials) {
    ace::Structure in;
    in.atoms = in.points = n;
    in.positions = positions;
    in.species = species;
    in.cell = cell;
    for (int k = 0; k < 3 && pbc; k++) in.pbc[k] = pbc[k];
    return evaluate(e, in, threads, {outputs, energies, forces, virials});
}

int ace_evaluate_list(ace_evaluator* e, int n, int points, const double* positions,
                      const int32_t* species, const int64_t* first, const int32_t* neighbours,
                      int threads, int outputs, double* energies, double* forces,
                      double* virials) {
    ace::Structure in;
    in.atoms = n;
    in.points = points;
    in.positions = positions;
    in.species = species;
    in.first = first;
    in.neighbours = neighbours;
    if (!first) return guarded([] { throw ace::Error("first: expected an array, got null"); });
    return evaluate(e, in, threads, {outputs, energies, forces, virials});
}
}
