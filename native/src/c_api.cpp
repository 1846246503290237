#include "ace/c_api.h"

#include <exception>
#include <string>

#include "ace/evaluator.hpp"

struct ace_evaluator {
    std::unique_ptr<ace::Evaluator> evaluator;
};

namespace {

thread_local std::string last_error;

template <class F>
int guarded(F&& action) {
    try {
        action();
        return 0;
    } catch (const std::exception& e) {
        last_error = e.what();
    } catch (...) {
        last_error = "unknown failure";
    }
    return 1;
}

}  // namespace

extern "C" {

const char* ace_last_error(void) { return last_error.c_str(); }

ace_evaluator* ace_create(const unsigned char* tables, size_t size, const char* instruction_set) {
    ace_evaluator* made = nullptr;
    guarded([&] {
        const std::string name = instruction_set ? instruction_set : ace::best_instruction_set();
        made = new ace_evaluator{ace::make_evaluator(ace::Tables::read(tables, size), name)};
    });
    return made;
}

void ace_destroy(ace_evaluator* evaluator) { delete evaluator; }

const char* ace_instruction_set(const ace_evaluator* e) { return e->evaluator->instruction_set(); }
double ace_cutoff(const ace_evaluator* e) { return e->evaluator->tables().longest_cutoff(); }
int ace_species(const ace_evaluator* e) { return e->evaluator->tables().species; }
int ace_atomic_number(const ace_evaluator* e, int species) {
    const auto& numbers = e->evaluator->tables().numbers;
    return species >= 0 && species < static_cast<int>(numbers.size()) ? numbers[species] : -1;
}
int ace_outputs(const ace_evaluator* e) { return e->evaluator->tables().outputs; }

int ace_evaluate(ace_evaluator* e, int n, const double* positions, const int32_t* species,
                 const double* cell, const int* pbc, int threads, int outputs, double* energies,
                 double* forces, double* virials) {
    return guarded([&] {
        ace::Structure in;
        in.atoms = in.points = n;
        in.positions = positions;
        in.species = species;
        in.cell = cell;
        for (int k = 0; k < 3; k++) in.pbc[k] = pbc[k];
        const ace::Results out{outputs, energies, forces, virials};
        e->evaluator->evaluate(&in, 1, threads, &out);
    });
}

int ace_evaluate_list(ace_evaluator* e, int n, int points, const double* positions,
                      const int32_t* species, const int64_t* first, const int32_t* neighbours,
                      int threads, int outputs, double* energies, double* forces,
                      double* virials) {
    return guarded([&] {
        ace::Structure in;
        in.atoms = n;
        in.points = points;
        in.positions = positions;
        in.species = species;
        in.first = first;
        in.neighbours = neighbours;
        const ace::Results out{outputs, energies, forces, virials};
        e->evaluator->evaluate(&in, 1, threads, &out);
    });
}
}
