// The kernel prototype behind a C interface, so that its calls and ours can take turns in one
// process. Compiled by kernel.py with the prototype's folder in the include path.
#include <chrono>
#include <memory>
#include <vector>

#include "engine.hpp"

#include "config.hpp"

#if defined(__AVX512F__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

namespace {
struct Run {
    proto::Engine<double, W, 5> engine;
    Config atoms;
    NbrCSR list;  // made once: its time is not counted
    std::vector<double> energies, forces;
    Run(const proto::Model& model, int cells)
        : engine(model, 0.02), atoms(fcc(cells, 3.63, 0.07, model.ne, 7)) {
        build_nbr(atoms, model.cutmax, list);
        energies.resize(atoms.n);
        forces.resize(3 * atoms.n);
    }
};
}  // namespace

// Copper, cells³ cubic cells, energies and forces.
extern "C" void* prototype_open(const char* model, int cells) {
    return new Run(proto::read_model(model), cells);
}

// Microseconds per atom of one call.
extern "C" double prototype_call(void* handle) {
    Run& run = *static_cast<Run*>(handle);
    const auto begin = std::chrono::steady_clock::now();
    run.engine.compute(run.atoms.n, run.list.start.data(), run.list.j.data(), run.list.d.data(),
                       run.atoms.type.data(), run.energies.data(), run.forces.data());
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
    return spent.count() / run.atoms.n;
}
