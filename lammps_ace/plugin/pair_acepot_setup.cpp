// What the input says: pair_style, pair_coeff and the file of the model.
// SPDX-License-Identifier: GPL-2.0-only
#include <cstdio>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "elements.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "pair_acepot.h"
#include "platform.h"
#include "precision.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

const char *symbol(const ace_evaluator *e, int species) {
    const int number = ace_atomic_number(e, species);
    return number > 0 && number < acepot::most_numbers ? acepot::elements[number].symbol : "?";
}

}  // namespace

void PairACEPot::settings(int narg, char **arg) {
    with_e0 = true;
    const int before = precision;
    precision = ACE_DOUBLE;
    for (int k = 0; k < narg; k += 2) {
        const std::string option = arg[k], value = k + 1 < narg ? arg[k + 1] : "nothing";
        if (option == "e0" && k + 1 < narg)
            with_e0 = utils::logical(FLERR, value, false, lmp);
        else if (option == "precision")
            precision = acepot::precision_named(value);
        else
            error->all(FLERR,
                       "pair_style acepot: expected e0 no, precision mixed, both or no arguments, "
                       "got {}",
                       utils::join_words(std::vector<std::string>(arg, arg + narg), " "));
        if (precision < 0)
            error->all(FLERR,
                       "pair_style acepot: precision: expected double, mixed or single, got {}",
                       value);
    }
    set_unit();
    if (!allocated || precision == before) return;
    // The model is of another precision: LAMMPS asks for pair_coeff again.
    for (int i = 1; i <= atom->ntypes; i++)
        for (int j = 1; j <= atom->ntypes; j++) setflag[i][j] = 0;
}

// LAMMPS' own number for a kcal/mol, as its other potentials of units metal take it.
void PairACEPot::set_unit() {
    const std::string units = update->unit_style;
    if (units != "metal" && units != "real")
        error->all(FLERR,
                   "pair_style acepot: expected units metal (eV, A) or real (kcal/mol, A), got "
                   "units {}; write one of these, and the input's numbers in its units",
                   units);
    unit = utils::get_conversion_factor(utils::ENERGY,
                                        units == "real" ? utils::METAL2REAL : utils::NOCONVERT);
}

void PairACEPot::coeff(int narg, char **arg) {
    const int types = atom->ntypes;
    if (narg != 3 + types)
        error->all(FLERR,
                   "pair_coeff of acepot: expected * * FILE and an element or NULL for each of "
                   "{} atom types, got {} arguments",
                   types, narg);
    const std::string bytes = file_bytes(arg[2]);
    read_model(arg[2], bytes);
    masses_checked = false;
    if (!allocated) {
        allocated = 1;
        memory->create(setflag, types + 1, types + 1, "pair:setflag");
        memory->create(cutsq, types + 1, types + 1, "pair:cutsq");
        map = new int[types + 1];
    }
    std::string known;
    const int count = ace_species(evaluator.get());
    for (int s = 0; s < count; s++) known += std::string(" ") + symbol(evaluator.get(), s);
    for (int t = 1; t <= types; t++) {
        map[t] = -1;
        const char *name = arg[2 + t];
        if (std::strcmp(name, "NULL") == 0) continue;
        for (int s = 0; s < count; s++)
            if (std::strcmp(name, symbol(evaluator.get(), s)) == 0) map[t] = s;
        if (map[t] < 0)
            error->all(FLERR, "pair_coeff of acepot: {} has the elements{}, not {} (atom type {})",
                       arg[2], known, name, t);
    }
    int set = 0;
    for (int i = 1; i <= types; i++)
        for (int j = 1; j <= types; j++) {
            setflag[i][j] = j >= i && map[i] >= 0 && map[j] >= 0;
            set += setflag[i][j];
        }
    if (set == 0) error->all(FLERR, "pair_coeff of acepot: every atom type is NULL");
    if (precision != ACE_DOUBLE) tell_precision(bytes);
}

// One rank reads, so that a file system sees one reader and not thousands.
std::string PairACEPot::file_bytes(const char *name) {
    std::string bytes;
    bigint size = -1;
    if (comm->me == 0 && platform::path_is_directory(name)) {
        size = -3;
    } else if (comm->me == 0) {
        if (std::FILE *file = std::fopen(name, "rb")) {
            if (std::fseek(file, 0, SEEK_END) == 0) size = std::ftell(file);
            std::rewind(file);
            if (size > MAXSMALLINT) size = -2;
            if (size >= 0) {
                bytes.resize(size);
                if (std::fread(&bytes[0], 1, bytes.size(), file) != bytes.size()) size = -1;
            }
            std::fclose(file);
        }
    }
    MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, world);
    if (size == -3) error->all(FLERR, "pair_coeff of acepot: {} is a folder, not a file", name);
    if (size == -1) error->all(FLERR, "pair_coeff of acepot: {} cannot be read", name);
    if (size == -2) error->all(FLERR, "pair_coeff of acepot: {} has more than 2 GB", name);
    bytes.resize(size);
    MPI_Bcast(&bytes[0], static_cast<int>(size), MPI_CHAR, 0, world);
    return bytes;
}

PairACEPot::Evaluator PairACEPot::open(const std::string &bytes, int in_precision) {
    ace_options options{};
    options.size = sizeof options;
    options.precision = in_precision;
    ace_evaluator *made = nullptr;
    ace_open(reinterpret_cast<const unsigned char *>(bytes.data()), bytes.size(), &options, &made);
    return Evaluator(made);
}

void PairACEPot::read_model(const char *name, const std::string &bytes) {
    evaluator = open(bytes, precision);
    // Not all may fail: memory is short on one node, say.
    int good = evaluator != nullptr, all = 0;
    MPI_Allreduce(&good, &all, 1, MPI_INT, MPI_MIN, world);
    if (!good)
        error->one(FLERR, "pair_coeff of acepot: {}: {}; acepot export MODEL FILE makes such files",
                   name, ace_last_error());
    if (!all) error->all(FLERR, "pair_coeff of acepot: {} failed on another rank", name);
}

// What a model loses depends on how far its terms cancel, so it is measured.
void PairACEPot::tell_precision(const std::string &bytes) {
    if (comm->me != 0) return;
    const char *name = precision == ACE_MIXED ? "mixed" : "single";
    std::vector<int> elements;
    for (int t = 1; t <= atom->ntypes; t++)
        if (map[t] >= 0) elements.push_back(map[t]);
    const Evaluator exact = open(bytes, ACE_DOUBLE);
    const acepot::PrecisionLoss loss =
        acepot::precision_loss(exact.get(), evaluator.get(), elements);
    if (loss.measured)
        utils::logmesg(lmp,
                       "pair_style acepot: {} precision errs on perturbed crystals by up to "
                       "{:.1e} eV/atom in energies and by {:.1e} eV/A in forces (largest {:.1e}; "
                       "the forces are {:.1e} eV/A)\n",
                       name, loss.energy, loss.forces, loss.largest, loss.scale);
    else
        error->warning(FLERR, "pair_style acepot: what {} precision costs is not known: {}", name,
                       ace_last_error());
}
