/* Several structures in one call, for the tests in C: what goes in, and room for what comes out. */
#ifndef ACE_TESTS_STRUCTURES_H
#define ACE_TESTS_STRUCTURES_H
#include "demand.h"

enum { N = 3, MOST = 4 * N }; /* atoms of a structure, and of a call */

static ace_evaluator* e;

static int64_t first[5] = {0, N, 2 * N, 2 * N, 2 * N + 1};
static double all_positions[3 * MOST], cells[4 * 9];
static int32_t all_species[MOST], all_pbc[12];

/* Three atoms in a cell; the same as a molecule; none; one atom in a small cell. */
static ace_structures four(void) {
    ace_structures in;
    memset(&in, 0, sizeof in);
    memset(all_pbc, 0, sizeof all_pbc);
    for (int s = 0; s < 2; s++) {
        memcpy(all_positions + 3 * N * s, positions, sizeof positions);
        memcpy(all_species + N * s, species, sizeof species);
    }
    for (int s = 0; s < 4; s++) memcpy(cells + 9 * s, cell, sizeof cell);
    for (int d = 0; d < 3; d++) all_pbc[d] = pbc[d] ? -7 : 0; /* anything but 0 */
    for (int d = 0; d < 3; d++) all_pbc[9 + d] = 1;
    for (int d = 0; d < 9; d++) cells[27 + d] *= 0.5;
    all_positions[6 * N] = 0.25, all_positions[6 * N + 1] = all_positions[6 * N + 2] = 0;
    all_species[2 * N] = 1;
    in.size = sizeof in;
    in.structures = 4;
    in.first = first;
    in.positions = all_positions;
    in.species = all_species;
    in.cells = cells;
    in.pbc = all_pbc;
    return in;
}

enum { ATOMS = 2 * N + 1, OUT = 3 };
static double energy[OUT * 4], energies[OUT * ATOMS], forces[OUT * ATOMS * 3], virial[OUT * 4 * 9],
    virials[OUT * ATOMS * 9];

static ace_results everything(int outputs) {
    ace_results out;
    memset(&out, 0, sizeof out);
    out.size = sizeof out;
    out.outputs = outputs;
    out.energy = energy;
    out.energies = energies;
    out.forces = forces;
    out.virial = virial;
    out.virials = virials;
    return out;
}

#endif
