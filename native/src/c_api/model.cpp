#include "model.hpp"

#include <mutex>
#include <string>

#include "failure.hpp"
#include "sized.hpp"

namespace ace::c_api {
namespace {

// Whatever the byte form or the engine refuses is about the tables.
std::unique_ptr<Evaluator> made_of(const unsigned char* tables, size_t bytes,
                                   const std::string& name, Precision precision) {
    require_instruction_set(name);
    try {
        return make_evaluator(Tables::read(tables, bytes), name, precision);
    } catch (Error& e) {
        if (e.fault == Fault::argument) e.fault = Fault::tables;
        throw;
    }
}

Precision precision_of(int given) {
    switch (given) {
        case ACE_DOUBLE: return Precision::full;
        case ACE_SINGLE: return Precision::single;
        case ACE_MIXED: return Precision::mixed;
        default:
            throw Error("options.precision: expected one of ace_precision, got " +
                        std::to_string(given));
    }
}

bool has(const ace_evaluator* e, int species) { return species >= 0 && species < ace_species(e); }

}  // namespace

ace_evaluator& model(ace_evaluator* given) {
    if (!given) throw Error("evaluator: expected one made by ace_open or ace_create, got null");
    return *given;
}

}  // namespace ace::c_api

ace::RowBuilder& ace_evaluator::rows() {
    const std::lock_guard<ace::Lock> guard(lock_);
    if (lock_.orphaned()) rows_.release();  // left as it is: a thread of the parent was in it
    if (!rows_) rows_ = ace::make_row_builder(evaluator->tables(), evaluator->instruction_set());
    return *rows_;
}

using namespace ace::c_api;

#define ACE_TEXT(x) #x
#define ACE_NUMBERS(major, minor, patch) ACE_TEXT(major) "." ACE_TEXT(minor) "." ACE_TEXT(patch)

extern "C" {

int ace_version(void) { return ACE_VERSION; }
const char* ace_version_string(void) {
    return ACE_NUMBERS(ACE_VERSION_MAJOR, ACE_VERSION_MINOR, ACE_VERSION_PATCH);
}

int ace_open(const unsigned char* tables, size_t bytes, const ace_options* options,
             ace_evaluator** evaluator) {
    return guarded([&] {
        if (!evaluator) throw ace::Error("evaluator: expected where it goes, got null");
        *evaluator = nullptr;
        const ace_options chosen = options ? sized(options, "options") : ace_options{};
        if (!tables) throw ace::Error("tables: expected bytes, got null");
        const ace::Precision precision = precision_of(chosen.precision);
        const std::string name =
            chosen.instruction_set ? chosen.instruction_set : ace::best_instruction_set();
        *evaluator = new ace_evaluator(made_of(tables, bytes, name, precision));
    });
}

ace_evaluator* ace_create(const unsigned char* tables, size_t size, const char* instruction_set) {
    ace_evaluator* made = nullptr;
    ace_options options{};
    options.size = sizeof options;
    options.instruction_set = instruction_set;
    ace_open(tables, size, &options, &made);
    return made;
}

void ace_destroy(ace_evaluator* evaluator) { delete evaluator; }

const char* ace_instruction_set(const ace_evaluator* e) {
    return e ? e->evaluator->instruction_set() : "";
}
int ace_species(const ace_evaluator* e) { return e ? e->evaluator->tables().species : 0; }
int ace_atomic_number(const ace_evaluator* e, int species) {
    return has(e, species) ? e->evaluator->tables().numbers[species] : -1;
}
double ace_isolated_energy(const ace_evaluator* e, int species) {
    return has(e, species) ? e->evaluator->tables().e0[species] : 0.0;
}
int ace_outputs(const ace_evaluator* e) { return e ? e->evaluator->tables().outputs : 0; }
double ace_cutoff(const ace_evaluator* e) {
    return e ? e->evaluator->tables().longest_cutoff() : 0.0;
}
double ace_pair_cutoff(const ace_evaluator* e, int centre, int neighbour) {
    if (!has(e, centre) || !has(e, neighbour)) return 0.0;
    const ace::Tables& tables = e->evaluator->tables();
    return tables.cutoff[static_cast<size_t>(centre) * tables.species + neighbour];
}
int ace_functions(const ace_evaluator* e) {
    if (!e) return 0;
    const ace::Tables& tables = e->evaluator->tables();
    return tables.embeddings.present || tables.radial.empty() ? 0 : tables.functions;
}
}
