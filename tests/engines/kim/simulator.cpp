// A program that speaks the KIM API: one structure in, what the model says of it out.
//
//   simulator MODEL UNITS < structure
//
// UNITS is eV (with A) or kcal/mol (with nm). The structure: the number of particles, then in each
// line whether it contributes, its chemical symbol, x y z in the unit. Particles are told apart by
// nothing else, so that ghosts may stand anywhere. Printed: energy, virial, then a line of each
// particle: energy, forces, virial.
#include <KIM_SimulatorHeaders.hpp>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

struct Lists {
    std::vector<std::vector<int>> of;
    int asked_ghosts = 0;
    std::vector<int> contributing;
};

static int list_of(void* kept, int count, const double*, int which, int particle, int* number,
                   const int** others) {
    Lists& lists = *static_cast<Lists*>(kept);
    if (count != 1 || which != 0 || particle < 0 ||
        particle >= static_cast<int>(lists.of.size()))
        return true;
    if (!lists.contributing[particle]) lists.asked_ghosts++;
    *number = static_cast<int>(lists.of[particle].size());
    *others = lists.of[particle].data();
    return false;
}

static int fail(const char* what) {
    std::fprintf(stderr, "simulator: %s\n", what);
    return 1;
}

int main(int count, char** words) {
    if (count != 3) return fail("MODEL UNITS");
    const bool is_metal = std::string(words[2]) == "eV";
    KIM::Model* model = nullptr;
    int accepted = 0;
    if (KIM::Model::Create(KIM::NUMBERING::zeroBased,
                           is_metal ? KIM::LENGTH_UNIT::A : KIM::LENGTH_UNIT::nm,
                           is_metal ? KIM::ENERGY_UNIT::eV : KIM::ENERGY_UNIT::kcal_mol,
                           KIM::CHARGE_UNIT::unused, KIM::TEMPERATURE_UNIT::unused,
                           KIM::TIME_UNIT::unused, words[1], &accepted, &model))
        return fail("no such model");
    if (!accepted) return fail("units are not accepted");
    double influence = 0;
    model->GetInfluenceDistance(&influence);
    int lists_wanted = 0;
    const double* cutoffs = nullptr;
    const int* without_ghosts = nullptr;
    model->GetNeighborListPointers(&lists_wanted, &cutoffs, &without_ghosts);
    if (lists_wanted != 1 || !without_ghosts[0] || cutoffs[0] != influence)
        return fail("expected one list, without ghosts, as long as the influence");

    int n = 0;
    std::cin >> n;
    std::vector<int> codes(n), contributing(n);
    std::vector<double> x(3 * n), forces(3 * n), energies(n), virials(6 * n), virial(6);
    double energy = 0;
    for (int i = 0; i < n; i++) {
        std::string symbol;
        std::cin >> contributing[i] >> symbol >> x[3 * i] >> x[3 * i + 1] >> x[3 * i + 2];
        int known = 0;
        if (model->GetSpeciesSupportAndCode(KIM::SpeciesName(symbol), &known, &codes[i]) || !known)
            return fail("an element that the model does not have");
    }
    Lists lists;
    lists.of.resize(n);
    lists.contributing = contributing;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double square = 0;
            for (int d = 0; d < 3; d++) square += std::pow(x[3 * j + d] - x[3 * i + d], 2);
            if (i != j && std::sqrt(square) <= 1.1 * cutoffs[0]) lists.of[i].push_back(j);
        }

    KIM::ComputeArguments* arguments = nullptr;
    if (model->ComputeArgumentsCreate(&arguments)) return fail("no arguments");
    using namespace KIM::COMPUTE_ARGUMENT_NAME;
    if (arguments->SetArgumentPointer(numberOfParticles, &n) ||
        arguments->SetArgumentPointer(particleSpeciesCodes, codes.data()) ||
        arguments->SetArgumentPointer(particleContributing, contributing.data()) ||
        arguments->SetArgumentPointer(coordinates, x.data()) ||
        arguments->SetArgumentPointer(partialEnergy, &energy) ||
        arguments->SetArgumentPointer(partialParticleEnergy, energies.data()) ||
        arguments->SetArgumentPointer(partialForces, forces.data()) ||
        arguments->SetArgumentPointer(partialVirial, virial.data()) ||
        arguments->SetArgumentPointer(partialParticleVirial, virials.data()) ||
        arguments->SetCallbackPointer(KIM::COMPUTE_CALLBACK_NAME::GetNeighborList,
                                      KIM::LANGUAGE_NAME::cpp,
                                      reinterpret_cast<KIM::Function*>(&list_of), &lists))
        return fail("an argument was refused");
    if (model->Compute(arguments)) return fail("the model failed");
    // The energy alone, as the simulators ask for it between steps: other arrays are not touched.
    double alone = 0;
    arguments->SetArgumentPointer(partialParticleEnergy, static_cast<double*>(nullptr));
    arguments->SetArgumentPointer(partialForces, static_cast<double*>(nullptr));
    arguments->SetArgumentPointer(partialVirial, static_cast<double*>(nullptr));
    arguments->SetArgumentPointer(partialParticleVirial, static_cast<double*>(nullptr));
    arguments->SetArgumentPointer(partialEnergy, &alone);
    if (model->Compute(arguments) || std::abs(alone - energy) > 1e-12 * std::abs(energy))
        return fail("the energy alone differs");
    if (lists.asked_ghosts) return fail("lists of ghosts were asked for");

    std::printf("%.17g\n", energy);
    for (int c = 0; c < 6; c++) std::printf("%.17g ", virial[c]);
    for (int i = 0; i < n; i++) {
        std::printf("\n%.17g", energies[i]);
        for (int d = 0; d < 3; d++) std::printf(" %.17g", forces[3 * i + d]);
        for (int c = 0; c < 6; c++) std::printf(" %.17g", virials[6 * i + c]);
    }
    std::printf("\n");
    model->ComputeArgumentsDestroy(&arguments);
    KIM::Model::Destroy(&model);
    return 0;
}
