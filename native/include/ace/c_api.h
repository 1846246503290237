/* The stable C interface of the evaluator, for hosts without Python. No exception crosses it.
 *
 * Lengths are in angstrom, energies in eV. Arrays are contiguous, matrices row by row; the rows
 * of `cell` are lattice vectors. Functions that can fail return 0 on success; otherwise the
 * message is in ace_last_error(). Threads of the host that share an evaluator take turns. */
#ifndef ACE_C_API_H
#define ACE_C_API_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ace_evaluator ace_evaluator;

/* Message of the last failure on this thread, never null. */
const char* ace_last_error(void);

/* The atoms that this failure is about: how many, 0 to 2, and their indices in the arrays of the
 * call, -1 where there is none. Two of them are too close to each other. `atoms` may be null. */
int ace_last_atoms(int64_t atoms[2]);
/* Its message with other numbers for these atoms: those that the host knows them by. */
const char* ace_last_error_of(int64_t first, int64_t second);

/* A model from the byte form of its Tables; `instruction_set` null for the best one here.
 * Null on failure. */
ace_evaluator* ace_create(const unsigned char* tables, size_t size, const char* instruction_set);
void ace_destroy(ace_evaluator* evaluator);

/* Of null: "", 0, 0, -1, 0 and 0. */
const char* ace_instruction_set(const ace_evaluator* evaluator);
double ace_cutoff(const ace_evaluator* evaluator);            /* the longest of all pairs */
double ace_pair_cutoff(const ace_evaluator* evaluator, int centre, int neighbour);
int ace_species(const ace_evaluator* evaluator);              /* number of elements */
int ace_atomic_number(const ace_evaluator* evaluator, int species);
double ace_isolated_energy(const ace_evaluator* evaluator, int species); /* E0, eV */
int ace_outputs(const ace_evaluator* evaluator);              /* 1 + members of the committee */

/* Energies, forces and per-atom virials of atoms in a cell. Any result may be null, and `cell`
 * and `pbc` if nothing repeats. One evaluator serves one call at a time. With
 * outputs > 1 the arrays hold the model first, then the committee:
 * energies [outputs][n], forces [outputs][n][3], virials [outputs][n][3][3]. */
int ace_evaluate(ace_evaluator* evaluator, int n, const double* positions, const int32_t* species,
                 const double* cell, const int* pbc, int threads, int outputs, double* energies,
                 double* forces, double* virials);

/* The same with a caller's full neighbour list. Points beyond n are ghosts: neighbours of atom i
 * are neighbours[first[i]] ... neighbours[first[i + 1] - 1], forces are [outputs][points][3].
 * Indices are checked; that `neighbours` has first[n] entries is not and cannot be. */
int ace_evaluate_list(ace_evaluator* evaluator, int n, int points, const double* positions,
                      const int32_t* species, const int64_t* first, const int32_t* neighbours,
                      int threads, int outputs, double* energies, double* forces, double* virials);

/* The same of the model alone, with the virials by the neighbours p, [points][3][3]: the sum over
 * atoms i of -r_ip (x) dE_i/dr_p, r_ip = r_p - r_i. Times the velocities of p it is the flux of
 * potential energy that forces carry. */
int ace_evaluate_centroids(ace_evaluator* evaluator, int n, int points, const double* positions,
                           const int32_t* species, const int64_t* first,
                           const int32_t* neighbours, int threads, double* energies,
                           double* forces, double* virials, double* centroid_virials);

#ifdef __cplusplus
}
#endif
#endif
