#include "ace/c_api.h"

#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/input.hpp"

struct ace_evaluator {
    std::unique_ptr<ace::Evaluator> evaluator;
};

namespace {

// Of fixed size, because a failure may be that there is no memory.
thread_local char last_error[1024] = "", last_words[1024] = "", last_named[1024] = "";
thread_local int64_t last_atoms[2] = {-1, -1};

void fail(const char* message, const char* words = "", int64_t first = -1, int64_t second = -1) {
    std::snprintf(last_error, sizeof last_error, "%s", message);
    std::snprintf(last_words, sizeof last_words, "%s", words);
    last_atoms[0] = first;
    last_atoms[1] = second;
}

template <class F>
int guarded(F&& action) {
    try {
        action();
        return 0;
    } catch (const std::bad_alloc&) {
        fail("not enough memory");
    } catch (const ace::Error& e) {
        fail(e.what(), e.words.c_str(), e.atoms[0], e.atoms[1]);
    } catch (const std::exception& e) {
        fail(e.what());
    } catch (...) {
        fail("unknown failure");
    }
    return 1;
}

int evaluate(ace_evaluator* e, const ace::Structure& in, int threads, const ace::Results& out) {
    return guarded([&] {
        if (!e) throw ace::Error("evaluator: expected one made by ace_create, got null");
        ace::check_input(in, threads);
        e->evaluator->evaluate(&in, 1, threads, &out);
        ace::check_results(in, out);
    });
}

}  // namespace

extern "C" {

const char* ace_last_error(void) { return last_error; }

int ace_last_atoms(int64_t* atoms) {
    if (atoms) atoms[0] = last_atoms[0], atoms[1] = last_atoms[1];
    return (last_atoms[0] >= 0) + (last_atoms[1] >= 0);
}

const char* ace_last_error_of(int64_t first, int64_t second) {
    if (last_atoms[0] < 0) return last_error;
    guarded([&] {
        const std::string message = ace::Error::named(last_words, first, second);
        std::snprintf(last_named, sizeof last_named, "%s", message.c_str());
    });
    return last_named;
}

ace_evaluator* ace_create(const unsigned char* tables, size_t size, const char* instruction_set) {
    ace_evaluator* made = nullptr;
    guarded([&] {
        if (!tables) throw ace::Error("tables: expected bytes, got null");
        const std::string name = instruction_set ? instruction_set : ace::best_instruction_set();
        made = new ace_evaluator{ace::make_evaluator(ace::Tables::read(tables, size), name)};
    });
    return made;
}

void ace_destroy(ace_evaluator* evaluator) { delete evaluator; }

const char* ace_instruction_set(const ace_evaluator* e) {
    return e ? e->evaluator->instruction_set() : "";
}
double ace_cutoff(const ace_evaluator* e) {
    return e ? e->evaluator->tables().longest_cutoff() : 0.0;
}
double ace_pair_cutoff(const ace_evaluator* e, int centre, int neighbour) {
    const int count = ace_species(e);
    if (centre < 0 || centre >= count || neighbour < 0 || neighbour >= count) return 0.0;
    return e->evaluator->tables().cutoff[static_cast<size_t>(centre) * count + neighbour];
}
int ace_species(const ace_evaluator* e) { return e ? e->evaluator->tables().species : 0; }
int ace_atomic_number(const ace_evaluator* e, int species) {
    return species >= 0 && species < ace_species(e) ? e->evaluator->tables().numbers[species] : -1;
}
double ace_isolated_energy(const ace_evaluator* e, int species) {
    return species >= 0 && species < ace_species(e) ? e->evaluator->tables().e0[species] : 0.0;
}
int ace_outputs(const ace_evaluator* e) { return e ? e->evaluator->tables().outputs : 0; }

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

int ace_evaluate_centroids(ace_evaluator* e, int n, int points, const double* positions,
                           const int32_t* species, const int64_t* first,
                           const int32_t* neighbours, int threads, double* energies,
                           double* forces, double* virials, double* centroid_virials) {
    ace::Structure in;
    in.atoms = n;
    in.points = points;
    in.positions = positions;
    in.species = species;
    in.first = first;
    in.neighbours = neighbours;
    if (!first) return guarded([] { throw ace::Error("first: expected an array, got null"); });
    return evaluate(e, in, threads, {1, energies, forces, virials, nullptr, centroid_virials});
}
}
