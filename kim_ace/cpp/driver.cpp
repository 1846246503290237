// A KIM model driver: models of acepot in every simulator that speaks the KIM API.
//
// A portable model has one parameter file, the tables of `acepot export --format kim`. Energies
// contain those of isolated atoms, as they do in acepot. Particles that do not contribute feel
// forces and have no energy.
#include <KIM_ModelDriverHeaders.hpp>
#include <ace/c_api.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr bool failed = true, done = false;  // what KIM's routines return

// By atomic number; names of KIM are chemical symbols.
constexpr const char* symbols[] = {
    "",   "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si",
    "P",  "S",  "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu",
    "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru",
    "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr",
    "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",
    "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac",
    "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf",
    "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og"};
constexpr int most_numbers = sizeof symbols / sizeof *symbols;

struct Closer {
    void operator()(ace_evaluator* evaluator) const { ace_destroy(evaluator); }
};

// One model: the evaluator, the simulator's units, and arrays that are kept between calls.
struct Model {
    std::unique_ptr<ace_evaluator, Closer> evaluator;
    double length = 1, energy = 1;  // simulator's unit of an angstrom, of an eV
    double cutoff = 0;              // in the simulator's unit
    int without_ghosts = 1;         // neighbours of ghosts are not asked for
    std::vector<int> order, place;  // contributing particles first, and where each particle is
    std::vector<int32_t> species, neighbours;
    std::vector<int64_t> first;
    std::vector<double> positions, energies, forces, virials;
};

// Threads a user gives to programs that have no other way to be told.
int threads() {
    const char* given = std::getenv("OMP_NUM_THREADS");
    const int number = given ? std::atoi(given) : 1;
    return number > 0 ? number : 1;
}

std::vector<unsigned char> bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// What the driver needs of a call, from KIM's arguments.
struct Arguments {
    int particles = 0;
    const int* codes = nullptr;
    const int* contributing = nullptr;
    const double* positions = nullptr;
    double* energy = nullptr;
    double* energies = nullptr;
    double* forces = nullptr;
    double* virial = nullptr;
    double* virials = nullptr;

    explicit Arguments(const KIM::ModelComputeArguments& from) {
        using namespace KIM::COMPUTE_ARGUMENT_NAME;
        const int* count = nullptr;
        bad = from.GetArgumentPointer(numberOfParticles, &count) ||
              from.GetArgumentPointer(particleSpeciesCodes, &codes) ||
              from.GetArgumentPointer(particleContributing, &contributing) ||
              from.GetArgumentPointer(coordinates, &positions) ||
              from.GetArgumentPointer(partialEnergy, &energy) ||
              from.GetArgumentPointer(partialParticleEnergy, &energies) ||
              from.GetArgumentPointer(partialForces, &forces) ||
              from.GetArgumentPointer(partialVirial, &virial) ||
              from.GetArgumentPointer(partialParticleVirial, &virials);
        if (!bad) particles = *count;
    }
    bool bad = false;
};

// KIM's particles as one list: those that contribute first, as the evaluator wants them.
bool gather(Model& model, const Arguments& in, const KIM::ModelComputeArguments& host) {
    const int n = in.particles;
    model.order.clear();
    for (const int wanted : {1, 0})
        for (int i = 0; i < n; i++)
            if ((in.contributing[i] != 0) == (wanted != 0)) model.order.push_back(i);
    model.place.resize(n);
    model.species.resize(n);
    model.positions.resize(3 * static_cast<size_t>(n));
    for (int k = 0; k < n; k++) {
        const int i = model.order[k];
        model.place[i] = k;
        model.species[k] = in.codes[i];
        for (int d = 0; d < 3; d++)
            model.positions[3 * static_cast<size_t>(k) + d] =
                in.positions[3 * static_cast<size_t>(i) + d] / model.length;
    }
    model.first.assign(1, 0);
    model.neighbours.clear();
    for (int k = 0; k < n && in.contributing[model.order[k]]; k++) {
        int count = 0;
        const int* others = nullptr;
        if (host.GetNeighborList(0, model.order[k], &count, &others)) return failed;
        for (int j = 0; j < count; j++) model.neighbours.push_back(model.place[others[j]]);
        model.first.push_back(static_cast<int64_t>(model.neighbours.size()));
    }
    return done;
}

// KIM's order: xx, yy, zz, yz, xz, xy, and its sign: +dE/d(strain).
constexpr int component[6] = {0, 4, 8, 5, 2, 1};

void scatter(const Model& model, const Arguments& out) {
    const size_t atoms = model.first.size() - 1;
    if (out.energy) {
        *out.energy = 0;
        for (size_t k = 0; k < atoms; k++) *out.energy += model.energy * model.energies[k];
    }
    if (out.energies)
        for (int i = 0; i < out.particles; i++) {
            const size_t k = model.place[i];
            out.energies[i] = k < atoms ? model.energy * model.energies[k] : 0.0;
        }
    if (out.forces)
        for (int i = 0; i < out.particles; i++)
            for (size_t d = 0; d < 3; d++)
                out.forces[3 * static_cast<size_t>(i) + d] =
                    model.energy / model.length *
                    model.forces[3 * static_cast<size_t>(model.place[i]) + d];
    const auto part = [&](size_t k, int c) {
        return -model.energy * model.virials[9 * k + component[c]];
    };
    if (out.virial)
        for (int c = 0; c < 6; c++) {
            out.virial[c] = 0;
            for (size_t k = 0; k < atoms; k++) out.virial[c] += part(k, c);
        }
    if (out.virials)
        for (int i = 0; i < out.particles; i++)
            for (int c = 0; c < 6; c++) {
                const size_t k = model.place[i];
                out.virials[6 * static_cast<size_t>(i) + c] = k < atoms ? part(k, c) : 0.0;
            }
}

template <class Host>
bool say(const Host& host, const std::string& what, int line) {
    host.LogEntry(KIM::LOG_VERBOSITY::error, "acepot: " + what, line, __FILE__);
    return failed;
}

int compute(const KIM::ModelCompute* host, const KIM::ModelComputeArguments* arguments) {
    void* kept = nullptr;
    host->GetModelBufferPointer(&kept);
    Model& model = *static_cast<Model*>(kept);
    const Arguments given(*arguments);
    if (given.bad) return say(*host, "the simulator's arguments cannot be read", __LINE__);
    for (int i = 0; i < given.particles; i++)
        if (given.codes[i] < 0 || given.codes[i] >= ace_species(model.evaluator.get()))
            return say(*host, "particle " + std::to_string(i) + " has an unknown species code",
                       __LINE__);
    if (gather(model, given, *arguments))
        return say(*host, "the simulator gave no neighbour list", __LINE__);
    const size_t atoms = model.first.size() - 1;
    model.energies.resize(atoms);
    model.forces.resize(given.forces ? 3 * static_cast<size_t>(given.particles) : 0);
    model.virials.resize(given.virial || given.virials ? 9 * atoms : 0);
    ace_neighbours in{};
    in.size = sizeof in;
    in.atoms = static_cast<int64_t>(atoms);
    in.points = given.particles;
    in.species = model.species.data();
    in.first = model.first.data();
    in.neighbours = model.neighbours.data();
    in.positions = model.positions.data();
    in.threads = threads();
    ace_results out{};
    out.size = sizeof out;
    out.energies = model.energies.data();
    if (given.forces) out.forces = model.forces.data();
    if (!model.virials.empty()) out.virials = model.virials.data();
    if (ace_evaluate_neighbours(model.evaluator.get(), &in, &out) != ACE_OK) {
        // Numbers of atoms as the simulator has them.
        int64_t at[2] = {-1, -1};
        const int concerned = ace_last_atoms(at);
        for (int k = 0; k < concerned; k++) at[k] = model.order[at[k]];
        return say(*host, ace_last_error_of(at[0], at[1]), __LINE__);
    }
    scatter(model, given);
    return done;
}

int create_arguments(const KIM::ModelCompute*, KIM::ModelComputeArgumentsCreate* create) {
    using namespace KIM::COMPUTE_ARGUMENT_NAME;
    const KIM::SupportStatus optional = KIM::SUPPORT_STATUS::optional;
    return create->SetArgumentSupportStatus(partialEnergy, optional) ||
           create->SetArgumentSupportStatus(partialForces, optional) ||
           create->SetArgumentSupportStatus(partialParticleEnergy, optional) ||
           create->SetArgumentSupportStatus(partialVirial, optional) ||
           create->SetArgumentSupportStatus(partialParticleVirial, optional);
}

int destroy_arguments(const KIM::ModelCompute*, KIM::ModelComputeArgumentsDestroy*) { return done; }

int destroy(KIM::ModelDestroy* host) {
    void* kept = nullptr;
    host->GetModelBufferPointer(&kept);
    delete static_cast<Model*>(kept);
    return done;
}

// The evaluator of the model's one file.
bool open(Model& model, const KIM::ModelDriverCreate& host) {
    int files = 0;
    host.GetNumberOfParameterFiles(&files);
    const std::string *folder = nullptr, *name = nullptr;
    host.GetParameterFileDirectoryName(&folder);
    if (files != 1 || host.GetParameterFileBasename(0, &name))
        return say(host, "expected one parameter file, the tables of a model, got " +
                             std::to_string(files),
                   __LINE__);
    const std::vector<unsigned char> tables = bytes_of(*folder + "/" + *name);
    ace_evaluator* made = nullptr;
    if (ace_open(tables.data(), tables.size(), nullptr, &made) != ACE_OK)
        return say(host, *name + ": " + ace_last_error(), __LINE__);
    model.evaluator.reset(made);
    if (ace_outputs(made) < 1) return say(host, *name + ": holds no energies", __LINE__);
    return done;
}

bool tell_units(Model& model, KIM::ModelDriverCreate& host, KIM::LengthUnit length,
                KIM::EnergyUnit energy) {
    using KIM::ModelDriverCreate;
    const auto factor = [&](double lengths, double energies, double* result) {
        return ModelDriverCreate::ConvertUnit(
            KIM::LENGTH_UNIT::A, KIM::ENERGY_UNIT::eV, KIM::CHARGE_UNIT::unused,
            KIM::TEMPERATURE_UNIT::unused, KIM::TIME_UNIT::unused, length, energy,
            KIM::CHARGE_UNIT::unused, KIM::TEMPERATURE_UNIT::unused, KIM::TIME_UNIT::unused,
            lengths, energies, 0, 0, 0, result);
    };
    return factor(1, 0, &model.length) || factor(0, 1, &model.energy) ||
           host.SetUnits(length, energy, KIM::CHARGE_UNIT::unused, KIM::TEMPERATURE_UNIT::unused,
                         KIM::TIME_UNIT::unused);
}

bool tell_species(const Model& model, KIM::ModelDriverCreate& host) {
    for (int code = 0; code < ace_species(model.evaluator.get()); code++) {
        const int number = ace_atomic_number(model.evaluator.get(), code);
        if (number < 1 || number >= most_numbers) return failed;
        if (host.SetSpeciesCode(KIM::SpeciesName(symbols[number]), code)) return failed;
    }
    return done;
}

bool tell_routines(KIM::ModelDriverCreate& host) {
    using namespace KIM::MODEL_ROUTINE_NAME;
    const auto set = [&](KIM::ModelRoutineName name, auto* routine) {
        return host.SetRoutinePointer(name, KIM::LANGUAGE_NAME::cpp, true,
                                      reinterpret_cast<KIM::Function*>(routine));
    };
    return set(ComputeArgumentsCreate, &create_arguments) || set(Compute, &compute) ||
           set(ComputeArgumentsDestroy, &destroy_arguments) || set(Destroy, &destroy);
}

}  // namespace

// KIM looks for this name.
extern "C" int acepot_driver_create(KIM::ModelDriverCreate* host, KIM::LengthUnit length,
                                KIM::EnergyUnit energy, KIM::ChargeUnit, KIM::TemperatureUnit,
                                KIM::TimeUnit);
int acepot_driver_create(KIM::ModelDriverCreate* host, KIM::LengthUnit length,
                         KIM::EnergyUnit energy, KIM::ChargeUnit, KIM::TemperatureUnit,
                         KIM::TimeUnit) {
    auto model = std::make_unique<Model>();
    if (open(*model, *host)) return failed;
    if (tell_units(*model, *host, length, energy))
        return say(*host, "units: expected those that KIM converts from angstrom and eV", __LINE__);
    if (host->SetModelNumbering(KIM::NUMBERING::zeroBased) || tell_species(*model, *host) ||
        tell_routines(*host))
        return say(*host, "KIM refused the model's elements or routines", __LINE__);
    model->cutoff = model->length * ace_cutoff(model->evaluator.get());
    host->SetInfluenceDistancePointer(&model->cutoff);
    host->SetNeighborListPointers(1, &model->cutoff, &model->without_ghosts);
    host->SetModelBufferPointer(model.release());
    return done;
}
