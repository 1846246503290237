/* The C interface from C: every failure is a status and a message, never a crash. */
#include "demand.h"

static void creation(void) {
    static const char* nothing = "";
    char name[5000];
    refused(ace_create(NULL, 0, NULL) == NULL, "null");
    refused(ace_create(NULL, 100, NULL) == NULL, "null");
    refused(ace_create((const unsigned char*)nothing, 0, NULL) == NULL, "not the byte form");
    refused(ace_create(tables, size / 2, NULL) == NULL, "tables");
    refused(ace_create(tables, size, "avx9000") == NULL, "avx9000 is not available");
    refused(ace_create(tables, size, "") == NULL, "is not available");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    refused(ace_create(tables, size, name) == NULL, "instruction set xxx");
    demand(strlen(ace_last_error()) < 2000, "a message has a bounded length");
    ace_destroy(NULL);
    demand(strcmp(ace_instruction_set(NULL), "") == 0, "the instruction set of nothing is empty");
    demand(ace_cutoff(NULL) == 0 && ace_species(NULL) == 0 && ace_outputs(NULL) == 0 &&
               ace_atomic_number(NULL, 0) == -1 && ace_isolated_energy(NULL, 0) == 0,
           "nothing has no properties");
}

static void properties(ace_evaluator* e) {
    demand(strlen(ace_instruction_set(e)) > 0, "an instruction set is named");
    demand(fabs(ace_cutoff(e) - 3.9) < 1e-9, "the longest cut-off");
    demand(ace_species(e) == 2 && ace_atomic_number(e, 0) == 8 && ace_atomic_number(e, 1) == 14,
           "the elements");
    demand(ace_atomic_number(e, 2) == -1 && ace_atomic_number(e, -1) == -1, "no further element");
    demand(ace_outputs(e) == 3, "a model and two members");
    demand(fabs(ace_isolated_energy(e, 1) + 2.25) < 1e-12 && ace_isolated_energy(e, 2) == 0,
           "energies of isolated atoms");
}

static void structures(ace_evaluator* e) {
    double energies[9], forces[27], virials[81], bad[9], wrong[9];
    int32_t kinds[3] = {0, 1, 0};
    int64_t atoms[2];
    demand(ace_evaluate(e, 3, positions, species, cell, pbc, 1, 3, energies, forces, virials) == 0,
           "three atoms, three outputs");
    demand(isfinite(energies[0]) && isfinite(forces[26]) && isfinite(virials[80]), "finite");
    demand(ace_evaluate(e, 3, positions, species, cell, pbc, 2, 1, NULL, NULL, NULL) == 0,
           "nothing wanted");
    demand(ace_evaluate(e, 0, NULL, NULL, cell, pbc, 1, 1, NULL, NULL, NULL) == 0, "no atoms");
    demand(ace_evaluate(e, 3, positions, species, NULL, NULL, 1, 1, energies, forces, virials) == 0,
           "no cell: a molecule");
    refused(ace_evaluate(NULL, 3, positions, species, cell, pbc, 1, 1, NULL, NULL, NULL), "null");
    refused(ace_evaluate(e, 3, NULL, species, cell, pbc, 1, 1, NULL, NULL, NULL), "positions");
    refused(ace_evaluate(e, 3, positions, NULL, cell, pbc, 1, 1, NULL, NULL, NULL), "species");
    refused(ace_evaluate(e, 3, positions, species, NULL, pbc, 1, 1, NULL, NULL, NULL), "cell");
    refused(ace_evaluate(e, -1, positions, species, cell, pbc, 1, 1, NULL, NULL, NULL), "-1 atoms");
    refused(ace_evaluate(e, 3, positions, species, cell, pbc, 0, 1, NULL, NULL, NULL), "thread");
    refused(ace_evaluate(e, 3, positions, species, cell, pbc, -5, 1, NULL, NULL, NULL), "thread");
    refused(ace_evaluate(e, 3, positions, species, cell, pbc, 1 << 30, 1, NULL, NULL, NULL),
            "thread");
    refused(ace_evaluate(e, 3, positions, species, cell, pbc, 1, 0, NULL, NULL, NULL),
            "committee members");
    refused(ace_evaluate(e, 3, positions, species, cell, pbc, 1, 4, NULL, NULL, NULL),
            "committee members");
    kinds[2] = 2;
    refused(ace_evaluate(e, 3, positions, kinds, cell, pbc, 1, 1, NULL, NULL, NULL),
            "atom 2 has an unknown species");
    demand(ace_last_atoms(atoms) == 1 && atoms[0] == 2 && atoms[1] == -1, "one atom of a failure");
    demand(strcmp(ace_last_error_of(9, -1), "species: atom 9 has an unknown species") == 0,
           "another number for it");
    kinds[2] = -1;
    refused(ace_evaluate(e, 3, positions, kinds, cell, pbc, 1, 1, NULL, NULL, NULL),
            "atom 2 has an unknown species");
    memcpy(bad, positions, sizeof bad);
    bad[4] = NAN;
    refused(ace_evaluate(e, 3, bad, species, cell, pbc, 1, 1, NULL, NULL, NULL),
            "atom 1 is not at a finite position");
    bad[4] = -INFINITY;
    refused(ace_evaluate(e, 3, bad, species, cell, pbc, 1, 1, NULL, NULL, NULL),
            "atom 1 is not at a finite position");
    memcpy(bad, positions, sizeof bad);
    memcpy(bad + 3, bad, 3 * sizeof *bad);
    refused(ace_evaluate(e, 3, bad, species, cell, pbc, 1, 1, NULL, NULL, NULL),
            "atoms 0 and 1 sit at the same point");
    bad[3] = 0.05;
    refused(ace_evaluate(e, 3, bad, species, cell, pbc, 1, 1, NULL, NULL, NULL),
            "atoms 0 and 1 are 0.05");
    demand(ace_last_atoms(NULL) == 2 && ace_last_atoms(atoms) == 2 && atoms[0] == 0 && atoms[1] == 1,
           "the two atoms of a failure");
    demand(strstr(ace_last_error_of(71, 5000000000), "atoms 71 and 5000000000 are 0.05") != NULL,
           "other numbers for them");
    demand(strstr(ace_last_error(), "atoms 0 and 1 are 0.05") != NULL, "and their own afterwards");
    memcpy(wrong, cell, sizeof wrong);
    memcpy(wrong + 3, wrong, 3 * sizeof *wrong);
    refused(ace_evaluate(e, 3, positions, species, wrong, pbc, 1, 1, NULL, NULL, NULL),
            "span no volume");
    demand(ace_last_atoms(atoms) == 0 && atoms[0] == -1, "a failure of no atom");
    demand(strcmp(ace_last_error_of(3, 4), ace_last_error()) == 0, "has nothing to name anew");
    wrong[3] = NAN;
    refused(ace_evaluate(e, 3, positions, species, wrong, pbc, 1, 1, NULL, NULL, NULL), "cell");
}

static void lists(ace_evaluator* e) {
    double energies[3], forces[9], virials[27], bad[9];
    int64_t first[4] = {0, 2, 4, 6};
    int32_t neighbours[6] = {1, 2, 0, 2, 0, 1};
    double cells[3];
    demand(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 1, 1, energies, forces,
                             virials) == 0,
           "a list");
    demand(ace_evaluate(e, 3, positions, species, NULL, NULL, 1, 1, cells, NULL, NULL) == 0 &&
               fabs(cells[0] - energies[0]) < 1e-12,
           "a list is the molecule");
    demand(ace_evaluate_list(e, 2, 3, positions, species, first, neighbours, 2, 1, energies, forces,
                             virials) == 0,
           "two atoms and a ghost");
    demand(ace_evaluate_list(e, 0, 0, NULL, NULL, first, NULL, 1, 1, NULL, NULL, NULL) == 0,
           "a list of nothing");
    first[1] = first[2] = first[3] = 0;
    demand(ace_evaluate_list(e, 3, 3, positions, species, first, NULL, 1, 1, energies, NULL,
                             NULL) == 0 && fabs(energies[1] + 2.25) < 1e-12,
           "no neighbours");
    first[1] = 2, first[2] = 4, first[3] = 6;
    refused(ace_evaluate_list(NULL, 3, 3, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "null");
    refused(ace_evaluate_list(e, 3, 3, positions, species, NULL, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "first");
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, NULL, 1, 1, NULL, NULL, NULL),
            "neighbours");
    refused(ace_evaluate_list(e, 3, 2, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "3 atoms");
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 0, 1, NULL, NULL,
                              NULL),
            "thread");
    neighbours[3] = 3;
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "atom 1 has the neighbour 3");
    neighbours[3] = -1;
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "atom 1 has the neighbour -1");
    neighbours[3] = 1;
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "atoms 1 and 1 sit at the same point");
    neighbours[3] = 2;
    first[0] = -1;
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "ascend");
    first[0] = 3;
    refused(ace_evaluate_list(e, 3, 3, positions, species, first, neighbours, 1, 1, NULL, NULL,
                              NULL),
            "ascend");
    first[0] = 0;
    memcpy(bad, positions, sizeof bad);
    bad[8] = NAN;
    refused(ace_evaluate_list(e, 2, 3, bad, species, first, neighbours, 1, 1, NULL, NULL, NULL),
            "atom 2 is not at a finite position");
}

int main(void) {
    ace_evaluator* e;
    read_tables(ACE_TEST_DATA "/linear.tables");
    creation();
    e = ace_create(tables, size, NULL);
    demand(e != NULL, "a model");
    if (e == NULL) return 1;
    properties(e);
    structures(e);
    lists(e);
    ace_destroy(e);
    free(tables);
    return failures ? 1 : 0;
}
