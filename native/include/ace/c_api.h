/* The stable C interface of the evaluator, for hosts without Python. No exception crosses it.
 *
 * Lengths are in angstrom, energies in eV. Arrays are contiguous, matrices row by row; the rows
 * of a cell are lattice vectors. What callers pass stays theirs and is not kept after the call.
 * Threads of the host may share an evaluator; they take turns.
 *
 * Structs begin with their size, which the caller sets to sizeof: a library that knows further
 * members takes them as zero, and one that knows fewer refuses those that are not zero. So set
 * all of a struct to zero first; zero always means what was so before the member was there. */
#ifndef ACE_C_API_H
#define ACE_C_API_H
#include <stddef.h>
#include <stdint.h>

#if !defined(ACE_API)
#define ACE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------- versions */

/* Of this interface. A greater major number breaks programs (and is in the name of the shared
 * library); a greater minor number adds to it. */
#define ACE_VERSION_MAJOR 1
#define ACE_VERSION_MINOR 2
#define ACE_VERSION_PATCH 0
#define ACE_VERSION (10000 * ACE_VERSION_MAJOR + 100 * ACE_VERSION_MINOR + ACE_VERSION_PATCH)

/* That of the library, to compare with ACE_VERSION of the header; and as text, "1.2.0". */
ACE_API int ace_version(void);
ACE_API const char* ace_version_string(void);

/* ------------------------------------------------------------------------------- failures */

/* What functions that can fail return. More may be added: any but ACE_OK is a failure. */
typedef enum ace_status {
    ACE_OK = 0,
    ACE_ERROR_ARGUMENT = 1,        /* what was passed: null, out of range, sizes that do not fit */
    ACE_ERROR_TABLES = 2,          /* damaged, or beyond what this library evaluates */
    ACE_ERROR_TOO_CLOSE = 3,       /* two atoms nearer than the model knows */
    ACE_ERROR_NOT_FINITE = 4,      /* a position or a result */
    ACE_ERROR_TOO_DENSE = 5,       /* more neighbours than any matter has */
    ACE_ERROR_MEMORY = 6,
    ACE_ERROR_INSTRUCTION_SET = 7, /* this machine or this library lacks it */
    ACE_ERROR_THREADS = 8,         /* the system starts no more of them */
    ACE_ERROR_INTERRUPTED = 9,     /* the host said stop */
    ACE_ERROR_STRUCTURES = 10,     /* some of several structures; `status` tells which and why */
    ACE_ERROR_INTERNAL = 99
} ace_status;

/* Status and message of the last failure on this thread; the message is never null. */
ACE_API int ace_last_status(void);
ACE_API const char* ace_last_error(void);

/* The structure among several that this failure is about, -1 if none. */
ACE_API int64_t ace_last_structure(void);
/* The atoms that it is about: how many, 0 to 2, and their indices in their structure, -1 where
 * there is none. Two of them are too close to each other. `atoms` may be null. */
ACE_API int ace_last_atoms(int64_t atoms[2]);
/* Its message with other numbers for these atoms: those that the host knows them by. */
ACE_API const char* ace_last_error_of(int64_t first, int64_t second);

/* -------------------------------------------------------------------------------- a model */

typedef struct ace_evaluator ace_evaluator;

enum ace_precision {
    ACE_DOUBLE = 0,
    ACE_SINGLE = 1, /* float from the distances on; sums over atoms and results are double */
    ACE_MIXED = 2   /* float for what concerns pairs of atoms, double for products and sums */
};

typedef struct ace_options {
    size_t size;
    const char* instruction_set; /* null: the best here; "avx512", "avx2", "baseline", "neon" */
    int precision;               /* one of ace_precision */
} ace_options;

/* A model from the byte form of its Tables, which `acepot export` writes. `options` may be null. On
 * success *evaluator is to be given to ace_destroy, else it is null. */
ACE_API int ace_open(const unsigned char* tables, size_t bytes, const ace_options* options,
                     ace_evaluator** evaluator);
/* The same in double precision, or null; `instruction_set` null for the best one here. */
ACE_API ace_evaluator* ace_create(const unsigned char* tables, size_t size,
                                  const char* instruction_set);
/* No call may be using it. Null is allowed. */
ACE_API void ace_destroy(ace_evaluator* evaluator);

/* Of null, or of an element that the model does not have: "", 0, or -1 for an atomic number. */
ACE_API const char* ace_instruction_set(const ace_evaluator* evaluator);
ACE_API int ace_species(const ace_evaluator* evaluator);       /* number of elements */
ACE_API int ace_atomic_number(const ace_evaluator* evaluator, int species);
ACE_API double ace_isolated_energy(const ace_evaluator* evaluator, int species); /* E0, eV */
/* 1 + members of the committee; of a basis without coefficients 0. */
ACE_API int ace_outputs(const ace_evaluator* evaluator);
ACE_API double ace_cutoff(const ace_evaluator* evaluator);     /* the longest of all pairs, A */
/* How far an atom of the first species feels one of the second. May differ from the other way
 * round: a host with one cut-off for both takes the longer. */
ACE_API double ace_pair_cutoff(const ace_evaluator* evaluator, int centre, int neighbour);
/* Functions of a linear model, whose sum with coefficients is its energy; 0: of no use for design
 * rows, because the model is not linear or its tables were written without them. */
ACE_API int ace_functions(const ace_evaluator* evaluator);

/* ----------------------------------------------------------------- energies and their kin */

/* Where results go; an array that is null is not wanted. With outputs > 1 there is the model
 * first, then members of the committee, each with a whole array of its own. `atoms` are all atoms
 * of the call, `points` also ghosts, `structures` 1 where there is but one. */
typedef struct ace_results {
    size_t size;
    int outputs;          /* how many to compute, at most ace_outputs; 0 is 1 */
    double* energy;       /* [outputs][structures], eV: sums over atoms */
    double* energies;     /* [outputs][atoms], eV: of each atom, its E0 included */
    double* forces;       /* [outputs][points][3], eV/A */
    double* virial;       /* [outputs][structures][3][3], eV: -dE/d(strain) */
    double* virials;      /* [outputs][atoms][3][3], eV: its part that each atom's energy has */
    double* edge_forces;  /* [outputs][edges][3], eV/A: minus the derivatives by the `vectors` */
    int* status;          /* [structures]: ACE_OK or what is wrong with it */
    char* messages;       /* [structures][message_size]: what is wrong in words, else "" */
    size_t message_size;  /* with the zero that ends them; 256 is ample */
    /* Of the first output, or of the sum with weights, [points][3][3], eV: the part of the virial by
     * the atom p that moves, the sum over atoms i of -(r_p - r_i) (x) dE_i/dr_p. Times its velocity
     * it is the flux of energy that forces carry. Not for `vectors`. */
    double* centroid_virials;
    /* With weights, forces and virials of all kinds are those of one output, the sum of all with
     * these weights, for the price of one; energies are of each. 1, 0, 0, ... gives the forces of the
     * model beside the energies of its committee; (E_m - E) / (members * spread) those of the spread
     * of its energies, with minus their sum for the model itself. */
    const double* weights;      /* [outputs][structures], or null */
    const double* site_weights; /* [outputs][atoms], or null: each atom's energy has weights */
} ace_results;

/* Structures one after another: atoms first[s] to first[s + 1] - 1 are those of structure s. */
typedef struct ace_structures {
    size_t size;
    int64_t structures;
    const int64_t* first;    /* [structures + 1], ascending from 0; first[structures] = atoms */
    const double* positions; /* [atoms][3], A */
    const int32_t* species;  /* [atoms], 0 to ace_species - 1 */
    const double* cells;     /* [structures][3][3], A; null: nothing repeats */
    const int32_t* pbc;      /* [structures][3], not 0: repeats; null: nothing does */
    int threads;             /* 0 is 1 */
    /* Asked some ten times a second by the thread that made the call, or null. If it does not return
     * 0 the call ends with ACE_ERROR_INTERRUPTED, and results are incomplete. */
    int (*stop)(void* stop_context);
    void* stop_context;
} ace_structures;

/* Energies, forces and virials of structures; the library finds the neighbours.
 *
 * With `status` one bad structure does not stop the others: its results are not numbers, and the
 * call returns ACE_ERROR_STRUCTURES. Without it the first bad one fails the call. */
ACE_API int ace_evaluate_structures(ace_evaluator* evaluator, const ace_structures* structures,
                                    const ace_results* results);

/* Atoms with a caller's full list: the neighbours of atom i are those from first[i] to
 * first[i + 1] - 1. Points beyond the atoms are ghosts, which feel forces and have no energy.
 * Exactly one of positions and vectors is given; no vector may be shorter than 1e-15 A.
 * Neighbours beyond the cut-off are ignored. */
typedef struct ace_neighbours {
    size_t size;
    int64_t atoms, points;     /* points = atoms + ghosts */
    const int32_t* species;    /* [points] */
    const int64_t* first;      /* [atoms + 1], ascending from 0; first[atoms] = edges */
    const int32_t* neighbours; /* [edges]: which point */
    const double* positions;   /* [points][3], A; or */
    const double* vectors;     /* [edges][3], A: from the atom to this neighbour */
    int threads;               /* 0 is 1 */
    int (*stop)(void* stop_context); /* as in ace_structures */
    void* stop_context;
} ace_neighbours;

/* The same for a list. Points are checked, the lengths of arrays cannot be. `edge_forces` are for
 * `vectors` only: the force that edge e puts on its neighbour, and the opposite on its atom, of
 * which `forces` are the sums. */
ACE_API int ace_evaluate_neighbours(ace_evaluator* evaluator, const ace_neighbours* neighbours,
                                    const ace_results* results);

/* Energies, forces and per-atom virials of atoms in a cell. Any result may be null, and `cell`
 * and `pbc` if nothing repeats. Results are as in ace_results: energies [outputs][n], forces
 * [outputs][n][3], virials [outputs][n][3][3]. */
ACE_API int ace_evaluate(ace_evaluator* evaluator, int n, const double* positions,
                         const int32_t* species, const double* cell, const int* pbc, int threads,
                         int outputs, double* energies, double* forces, double* virials);

/* The same with a caller's full neighbour list, as in ace_neighbours with positions: forces are
 * [outputs][points][3]. */
ACE_API int ace_evaluate_list(ace_evaluator* evaluator, int n, int points, const double* positions,
                              const int32_t* species, const int64_t* first,
                              const int32_t* neighbours, int threads, int outputs,
                              double* energies, double* forces, double* virials);

/* ------------------------------------------------------------------------ values of sites */

/* Tables of any kind, tensors and bases without coefficients, too, have values for every atom:
 * over irreps, in each over its `width`, in each over M = -L ... L of real harmonics. The width
 * counts the outputs of the model, then those of its committee; of a basis the functions. Models
 * of energies have values, too: what is embedded, without E0. */
ACE_API int ace_site_values(const ace_evaluator* evaluator); /* for each atom; of null 0 */
ACE_API int ace_irreps(const ace_evaluator* evaluator);      /* how many; of null 0 */
/* One of them: L, parity 1 or -1, width. Null is not wanted. */
ACE_API int ace_irrep(const ace_evaluator* evaluator, int which, int* l, int* parity, int* width);

/* What is wanted of them, with V = ace_site_values: values; their derivatives along displacements
 * u and a strain, sum_j (u_j - u_i + r_ij strain) . dy_i/dr_ij; forces and virials of a loss whose
 * derivatives by the values are `adjoints`, in units of the loss. `points` are the atoms and, in a
 * caller's list, ghosts. */
typedef struct ace_sites {
    size_t size;
    double* values;              /* [atoms][V] */
    const double* displacements; /* [points][3], A; null: none */
    const double* strains;       /* [structures][3][3], r -> r (1 + strain), rows; null: none */
    double* derivatives;         /* [atoms][V] */
    const double* adjoints;      /* [atoms][V] */
    double* forces;              /* [points][3], 1/A */
    double* virial;              /* [structures][3][3]: -d/d(strain), as rows */
    double* virials;             /* [atoms][3][3]: its part by each atom's values */
    int* status;                 /* as in ace_results */
    char* messages;
    size_t message_size;
    /* Of `vectors` only: how these move beyond what `displacements` and `strains` do to them, and
     * the force that each puts on its neighbour, minus the derivative by it. */
    const double* edge_displacements; /* [edges][3], A; null: none */
    double* edge_forces;              /* [edges][3], 1/A */
} ace_sites;

ACE_API int ace_evaluate_sites(ace_evaluator* evaluator, const ace_structures* structures,
                               const ace_sites* sites);
/* The same of atoms with a caller's list: one structure. */
ACE_API int ace_evaluate_neighbour_sites(ace_evaluator* evaluator,
                                         const ace_neighbours* neighbours,
                                         const ace_sites* sites);

/* ---------------------------------------------------------------------------- design rows */

/* A matrix with a column for each of the K = ace_functions: row r of function k is
 * data[k * stride + r]. Arrays that are null, and rows below 0, are not wanted.
 *
 * sum_k c_k row_k is the energy without E0's, the forces or the virial of the linear model with
 * coefficients c. Nothing is written but wanted rows. */
typedef struct ace_rows {
    size_t size;
    double* data;
    int64_t stride;        /* at least the number of rows */
    const int64_t* energy; /* [structures]: the row of the energy */
    const int64_t* forces; /* [structures]: the first of 3 n rows, atom by atom, x y z */
    const int64_t* virial; /* [structures]: the first of six rows xx yy zz yz xz xy */
    int* status;           /* as in ace_results; wanted rows of bad structures are not numbers */
    char* messages;
    size_t message_size;
} ace_rows;

/* The first call takes some time to prepare; it is done once for an evaluator. */
ACE_API int ace_fill_rows(ace_evaluator* evaluator, const ace_structures* structures,
                          const ace_rows* rows);

#ifdef __cplusplus
}
#endif
#endif
