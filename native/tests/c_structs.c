/* Structs with sizes, several structures in one call, lists as vectors, design rows; from C. */
#include "demand.h"

enum { N = 3, MOST = 4 * N }; /* atoms of a structure, and of a call */

static ace_evaluator* e;

/* A failure of this kind, and a message that holds `part`. */
static void fails(int status, int expected, const char* part) {
    const int good = status == expected && ace_last_status() == expected &&
                     strstr(ace_last_error(), part) != NULL;
    if (!good) printf("        status %d, message '%s'\n", status, ace_last_error());
    demand(good, part);
}

static int near_by(const double* a, const double* b, int count, double most) {
    for (int k = 0; k < count; k++)
        if (!(fabs(a[k] - b[k]) <= most)) return 0;
    return 1;
}

/* ------------------------------------------------------------------ versions and options */

static void versions(void) {
    char text[40];
    sprintf(text, "%d.%d.%d", ACE_VERSION_MAJOR, ACE_VERSION_MINOR, ACE_VERSION_PATCH);
    demand(ace_version() == ACE_VERSION, "the library is of the version of the header");
    demand(strcmp(ace_version_string(), text) == 0, "and says so in words");
}

static void options(void) {
    struct {
        ace_options known;
        int newer;
    } longer;
    ace_options given;
    ace_evaluator* made = (ace_evaluator*)&given;
    memset(&given, 0, sizeof given);
    memset(&longer, 0, sizeof longer);
    fails(ace_open(tables, size, &given, &made), ACE_ERROR_ARGUMENT, "options.size: expected");
    demand(made == NULL, "nothing is made");
    given.size = (size_t)-1;
    fails(ace_open(tables, size, &given, &made), ACE_ERROR_ARGUMENT, "options.size: expected");
    given.size = sizeof(size_t);
    given.precision = 77; /* beyond the size: unknown to the caller */
    demand(ace_open(tables, size, &given, &made) == ACE_OK && made, "options of an older header");
    ace_destroy(made);
    longer.known.size = sizeof longer;
    demand(ace_open(tables, size, &longer.known, &made) == ACE_OK, "newer ones that are not set");
    ace_destroy(made);
    longer.newer = 1;
    fails(ace_open(tables, size, &longer.known, &made), ACE_ERROR_ARGUMENT, "newer version");
    given.size = sizeof given;
    fails(ace_open(tables, size, &given, &made), ACE_ERROR_ARGUMENT, "precision");
    given.precision = ACE_DOUBLE;
    given.instruction_set = "avx9000";
    fails(ace_open(tables, size, &given, &made), ACE_ERROR_INSTRUCTION_SET, "avx9000");
    fails(ace_open(tables, size, NULL, NULL), ACE_ERROR_ARGUMENT, "evaluator");
    fails(ace_open(NULL, 0, NULL, &made), ACE_ERROR_ARGUMENT, "tables");
    fails(ace_open(tables, size - 1, NULL, &made), ACE_ERROR_TABLES, "tables");
    tables[0] ^= 1;
    fails(ace_open(tables, size, NULL, &made), ACE_ERROR_TABLES, "not the byte form");
    tables[0] ^= 1;
}

static void cutoffs(void) {
    double longest = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (ace_pair_cutoff(e, i, j) > longest) longest = ace_pair_cutoff(e, i, j);
    demand(longest == ace_cutoff(e), "the longest cut-off is that of a pair");
    demand(ace_pair_cutoff(e, 2, 0) == 0 && ace_pair_cutoff(e, 0, -1) == 0 &&
               ace_pair_cutoff(NULL, 0, 0) == 0,
           "no cut-off of elements there are not");
    demand(ace_functions(e) > 0 && ace_functions(NULL) == 0, "functions of a linear model");
}

static void precisions(void) {
    static const int lower[] = {ACE_SINGLE, ACE_MIXED};
    double exact[N], rough[N];
    demand(ace_evaluate(e, N, positions, species, cell, pbc, 1, 1, exact, NULL, NULL) == 0, "double");
    for (size_t k = 0; k < sizeof lower / sizeof *lower; k++) {
        ace_options given = {sizeof given, NULL, lower[k]};
        ace_evaluator* made;
        demand(ace_open(tables, size, &given, &made) == ACE_OK, "a lower precision");
        demand(ace_evaluate(made, N, positions, species, cell, pbc, 1, 1, rough, NULL, NULL) == 0 &&
                   near_by(exact, rough, N, 1e-3) && !near_by(exact, rough, N, 1e-13),
               "is near double and is not double");
        ace_destroy(made);
    }
}

/* ------------------------------------------------------------------ several structures */

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

/* Structure s of the arrays is what it is alone, in every output. */
static int as_alone(const ace_structures* in, int s, int outputs) {
    const int n = (int)(first[s + 1] - first[s]), at = (int)first[s];
    double one[OUT * N], push[OUT * N * 3], pull[OUT * N * 9];
    if (ace_evaluate(e, n, in->positions + 3 * at, in->species + at, in->cells + 9 * s,
                     in->pbc + 3 * s, 1, outputs, one, push, pull))
        return 0;
    for (int o = 0; o < outputs; o++) {
        double sum = 0, tensor[9] = {0};
        for (int i = 0; i < n; i++) sum += one[o * n + i];
        for (int k = 0; k < 9 * n; k++) tensor[k % 9] += pull[o * 9 * n + k];
        if (!near_by(one + o * n, energies + o * ATOMS + at, n, 1e-12) ||
            !near_by(push + o * 3 * n, forces + 3 * (o * ATOMS + at), 3 * n, 1e-12) ||
            !near_by(pull + o * 9 * n, virials + 9 * (o * ATOMS + at), 9 * n, 1e-12) ||
            !near_by(&sum, energy + o * 4 + s, 1, 1e-12) ||
            !near_by(tensor, virial + 9 * (o * 4 + s), 9, 1e-12))
            return 0;
    }
    return 1;
}

static void together(void) {
    ace_structures in = four();
    for (int outputs = 1; outputs <= OUT; outputs += 2)
        for (int threads = 0; threads <= 3; threads++) {
            ace_results out = everything(outputs);
            in.threads = threads;
            memset(forces, 0x7f, sizeof forces);
            demand(ace_evaluate_structures(e, &in, &out) == ACE_OK, "four structures");
            for (int s = 0; s < 4; s++) demand(as_alone(&in, s, outputs), "each as alone");
        }
}

/* Every atom's energy with weights of its own: virials of atoms are sums of those of the outputs. */
static void weighted_atoms(void) {
    ace_structures in = four();
    double weights[OUT * ATOMS], parts[ATOMS * 9] = {0};
    ace_results out = everything(OUT);
    for (int k = 0; k < OUT * ATOMS; k++) weights[k] = 0.7 - 0.05 * k;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK, "outputs one by one");
    for (int o = 0; o < OUT; o++)
        for (int k = 0; k < 9 * ATOMS; k++)
            parts[k] += weights[o * ATOMS + k / 9] * virials[9 * ATOMS * o + k];
    out.site_weights = weights;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK &&
               near_by(parts, virials, 9 * ATOMS, 1e-11),
           "weights of every atom");
}

static int asked;
static int stop(void* context) {
    asked++;
    return *(int*)context;
}

/* A call of some seconds goes on, or ends before its time. */
static void stopped(void) {
    enum { MANY = 1000000 };
    static double places[3 * MANY], results[MANY];
    static int32_t kinds[MANY];
    static int64_t all[2] = {0, MANY};
    double box[9] = {0};
    int32_t repeats[3] = {1, 1, 1};
    int end = 1;
    ace_structures in;
    ace_results out;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    for (int i = 0; i < MANY; i++) {
        places[3 * i] = 1.5 * (i % 40) + 0.1 * sin(i);
        places[3 * i + 1] = 1.5 * (i / 40 % 40) + 0.1 * sin(2.0 * i);
        places[3 * i + 2] = 1.5 * (i / 1600) + 0.1 * sin(3.0 * i);
        kinds[i] = i % 2;
    }
    box[0] = box[4] = 60, box[8] = 1.5 * (MANY / 1600 + 1);
    in.size = sizeof in, in.structures = 1, in.first = all, in.positions = places;
    in.species = kinds, in.cells = box, in.pbc = repeats, in.threads = 1;
    in.stop = stop, in.stop_context = &end;
    out.size = sizeof out, out.energies = results;
    for (int turn = 0; turn < 50 && asked == 0; turn++) ace_evaluate_structures(e, &in, &out);
    demand(asked == 1 && ace_last_status() == ACE_ERROR_INTERRUPTED, "a call ends when told so");
    end = 0;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK && isfinite(results[MANY - 1]),
           "and the evaluator goes on");
}

static void some_wanted(void) {
    ace_structures in = four();
    double wanted[4];
    ace_results out = everything(1);
    ace_evaluate_structures(e, &in, &out);
    memset(&out, 0, sizeof out);
    out.size = sizeof out;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK, "nothing wanted");
    out.energy = wanted;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK && near_by(wanted, energy, 4, 1e-12),
           "energies of structures alone");
    in.structures = 0;
    in.first = NULL;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK, "no structures");
    in = four();
    in.cells = NULL;
    in.pbc = NULL;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK && wanted[0] == wanted[1],
           "no cells: molecules");
}

/* With weights of outputs, other ones for each structure, derivatives are those of the sums. */
static void weighted(void) {
    ace_structures in = four();
    ace_results out = everything(OUT);
    double weights[OUT * 4], each[OUT * ATOMS], push[OUT * ATOMS * 3], pull[OUT * 4 * 9],
        centroids[ATOMS * 9];
    for (int k = 0; k < OUT * 4; k++) weights[k] = 0.3 * k - 1;
    demand(ace_evaluate_structures(e, &in, &out) == ACE_OK, "all outputs");
    memcpy(each, energies, sizeof each);
    memcpy(push, forces, sizeof push);
    memcpy(pull, virial, sizeof pull);
    out.weights = weights;
    out.centroid_virials = centroids;
    for (in.threads = 1; in.threads <= 3; in.threads++) {
        double expected[9], sum[9];
        demand(ace_evaluate_structures(e, &in, &out) == ACE_OK, "a sum of outputs");
        demand(near_by(energies, each, OUT * ATOMS, 1e-12), "energies are of each output");
        for (int s = 0; s < 4; s++) {
            for (int k = (int)(3 * first[s]); k < 3 * first[s + 1]; k++) {
                expected[0] = 0;
                for (int o = 0; o < OUT; o++)
                    expected[0] += weights[o * 4 + s] * push[o * ATOMS * 3 + k];
                demand(near_by(forces + k, expected, 1, 1e-11), "forces are of the sum");
            }
            for (int k = 0; k < 9; k++) {
                expected[k] = sum[k] = 0;
                for (int o = 0; o < OUT; o++)
                    expected[k] += weights[o * 4 + s] * pull[(o * 4 + s) * 9 + k];
                for (int i = (int)first[s]; i < first[s + 1]; i++) sum[k] += centroids[9 * i + k];
            }
            demand(near_by(virial + 9 * s, expected, 9, 1e-11), "virials are of the sum");
            demand(near_by(sum, expected, 9, 1e-11), "centroid virials are of the sum");
        }
    }
}

static void one_bad(void) {
    ace_structures in = four();
    int status[4];
    char messages[4][64];
    int64_t atoms[2];
    ace_results out = everything(3);
    all_positions[3 * N] = all_positions[3 * N + 3] + 0.05; /* atoms 0 and 1 of structure 1 */
    all_positions[3 * N + 1] = all_positions[3 * N + 4];
    all_positions[3 * N + 2] = all_positions[3 * N + 5];
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_TOO_CLOSE,
          "structure 1: atoms 0 and 1 are 0.05");
    demand(ace_last_structure() == 1 && ace_last_atoms(atoms) == 2 && atoms[1] == 1, "which ones");
    demand(strstr(ace_last_error_of(7, 9), "structure 1: atoms 7 and 9 are") != NULL, "renamed");
    out.status = status;
    out.messages = messages[0];
    out.message_size = sizeof messages[0];
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_STRUCTURES, "1 of 4");
    demand(status[0] == ACE_OK && status[1] == ACE_ERROR_TOO_CLOSE && status[2] == ACE_OK &&
               status[3] == ACE_OK,
           "a status of each");
    demand(messages[0][0] == 0 && strstr(messages[1], "atoms 0 and 1 are") &&
               strlen(messages[1]) == sizeof messages[1] - 1,
           "messages, cut off where there is no more room");
    for (int o = 0; o < 3; o++)
        demand(isnan(energy[4 * o + 1]) && isnan(energies[o * ATOMS + N]) &&
                   isnan(forces[3 * (o * ATOMS + 2 * N) - 1]) && isnan(virial[9 * (4 * o + 1)]) &&
                   isnan(virials[9 * (o * ATOMS + N)]),
               "the bad one has no numbers");
    for (int s = 0; s < 4; s++) demand(s == 1 || as_alone(&in, s, 3), "the others are there");
    all_positions[0] = NAN;
    all_species[2 * N] = 9;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_STRUCTURES, "3 of 4");
    demand(status[0] == ACE_ERROR_NOT_FINITE && status[3] == ACE_ERROR_ARGUMENT, "other kinds");
    out.message_size = 0;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "message_size");
}

static void bad_arrays(void) {
    ace_structures in = four();
    int64_t wrong[5] = {0, 3, 2, 6, 7};
    double some[1];
    ace_results out = everything(1);
    fails(ace_evaluate_structures(NULL, &in, &out), ACE_ERROR_ARGUMENT, "evaluator");
    fails(ace_evaluate_structures(e, NULL, &out), ACE_ERROR_ARGUMENT, "structures: expected");
    fails(ace_evaluate_structures(e, &in, NULL), ACE_ERROR_ARGUMENT, "results: expected");
    in.first = NULL;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "structures.first");
    in.first = wrong;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "expected to ascend");
    wrong[0] = 1;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "begin with 0");
    wrong[0] = 0, wrong[2] = (int64_t)1 << 40, wrong[3] = wrong[4] = wrong[2];
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "structures.first");
    in = four();
    in.structures = -1;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "structures.structures");
    in = four();
    in.positions = NULL;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "structures.positions");
    in = four();
    in.species = NULL;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "structures.species");
    in = four();
    in.cells = NULL;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "structures.cells");
    in = four();
    in.threads = -1;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "threads");
    in = four();
    out.outputs = 4;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "committee members");
    out.outputs = -1;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "committee members");
    out = everything(1);
    out.edge_forces = some;
    fails(ace_evaluate_structures(e, &in, &out), ACE_ERROR_ARGUMENT, "edge_forces");
}

/* ------------------------------------------------------------------ lists */

/* Two atoms and a ghost, neighbours of one another. */
static int64_t starts[3] = {0, 2, 4};
static int32_t ends[4] = {1, 2, 0, 2};
static double vectors[12];

static ace_neighbours two(int as_vectors) {
    ace_neighbours in;
    memset(&in, 0, sizeof in);
    for (int i = 0; i < 2; i++)
        for (int k = 2 * i; k < 2 * i + 2; k++)
            for (int d = 0; d < 3; d++)
                vectors[3 * k + d] = positions[3 * ends[k] + d] - positions[3 * i + d];
    in.size = sizeof in;
    in.atoms = 2;
    in.points = 3;
    in.species = species;
    in.first = starts;
    in.neighbours = ends;
    if (as_vectors)
        in.vectors = vectors;
    else
        in.positions = positions;
    return in;
}

static void lists(void) {
    double one[OUT * 2], push[OUT * 9], pull[OUT * 18], edges[OUT * 12], step = 1e-6;
    demand(ace_evaluate_list(e, 2, 3, positions, species, starts, ends, 1, OUT, one, push, pull) == 0,
           "a list");
    for (int as_vectors = 0; as_vectors < 2; as_vectors++) {
        ace_neighbours in = two(as_vectors);
        ace_results out = everything(OUT);
        if (as_vectors) out.edge_forces = edges;
        demand(ace_evaluate_neighbours(e, &in, &out) == ACE_OK, "the same in a struct");
        demand(near_by(one, energies, OUT * 2, 1e-12) && near_by(push, forces, OUT * 9, 1e-12) &&
                   near_by(pull, virials, OUT * 18, 1e-12),
               as_vectors ? "vectors are the list" : "positions are the list");
        for (int o = 0; o < OUT; o++) {
            const double sum = one[2 * o] + one[2 * o + 1];
            double tensor[9];
            for (int k = 0; k < 9; k++) tensor[k] = pull[18 * o + k] + pull[18 * o + 9 + k];
            demand(near_by(&sum, energy + o, 1, 1e-12) && near_by(tensor, virial + 9 * o, 9, 1e-12),
                   "sums over atoms");
        }
    }
    for (int k = 0; k < 12; k++) {
        ace_neighbours in = two(1);
        ace_results out;
        double sides[2];
        memset(&out, 0, sizeof out);
        out.size = sizeof out;
        for (int side = 0; side < 2; side++) {
            out.energy = sides + side;
            vectors[k] += side ? -2 * step : step;
            ace_evaluate_neighbours(e, &in, &out);
        }
        demand(fabs(edges[k] - (sides[1] - sides[0]) / (2 * step)) < 1e-7,
               "the force of an edge is minus the derivative by its vector");
    }
}

static void bad_lists(void) {
    ace_neighbours in = two(1);
    ace_results out = everything(1);
    int64_t atoms[2];
    int status;
    double edges[12];
    in.positions = positions;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "either positions or vectors");
    in.positions = in.vectors = NULL;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "either positions or vectors");
    in = two(0);
    out.edge_forces = edges;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "edge_forces");
    out.edge_forces = NULL;
    in.points = 1;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "neighbours.points");
    in = two(0);
    in.first = NULL;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "neighbours.first");
    for (int as_vectors = 0; as_vectors < 2; as_vectors++) {
        in = two(as_vectors);
        in.species = NULL;
        fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "species");
        in = two(as_vectors);
        in.neighbours = NULL;
        fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "neighbours");
        in = two(0);
        ends[3] = 3;
        if (as_vectors) in.positions = NULL, in.vectors = vectors;
        fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "the neighbour 3");
        ends[3] = 2;
        starts[1] = 5;
        in = two(as_vectors);
        fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_ARGUMENT, "ascend");
        starts[1] = 2;
    }
    in = two(1);
    vectors[4] = INFINITY;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_NOT_FINITE, "edge 1");
    in = two(1);
    vectors[9] = vectors[10] = 0, vectors[11] = 0.05;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_TOO_CLOSE, "atoms 1 and 2 are 0.05");
    demand(ace_last_atoms(atoms) == 2 && atoms[0] == 1 && atoms[1] == 2, "in the caller's numbers");
    out.status = &status;
    fails(ace_evaluate_neighbours(e, &in, &out), ACE_ERROR_STRUCTURES, "1 of 1");
    demand(status == ACE_ERROR_TOO_CLOSE && isnan(energy[0]) && isnan(forces[8]) && isnan(virial[0]),
           "a status, and no numbers");
}

/* ------------------------------------------------------------------ rows */

static void rows(void) {
    enum { HEIGHT = 60 };
    static double data[400 * HEIGHT];
    ace_structures in = four();
    ace_rows out;
    int64_t one[4] = {0, 1, -1, 2}, three[4] = {10, 20, -1, 30}, six[4] = {40, -1, -1, 50};
    int status[4], functions = ace_functions(e), touched = 1;
    demand(functions <= 400, "a small model");
    memset(&out, 0, sizeof out);
    for (int k = 0; k < functions * HEIGHT; k++) data[k] = 77;
    out.size = sizeof out;
    out.data = data;
    out.stride = HEIGHT;
    out.energy = one;
    out.forces = three;
    out.virial = six;
    demand(ace_fill_rows(e, &in, &out) == ACE_OK, "rows");
    for (int r = 0; r < HEIGHT; r++) {
        const int wanted = r <= 2 || (r >= 10 && r < 19) || (r >= 20 && r < 29) ||
                           (r >= 30 && r < 33) || (r >= 40 && r < 46) || (r >= 50 && r < 56);
        for (int k = 0; k < functions; k++) touched &= (data[k * HEIGHT + r] != 77) == wanted;
    }
    demand(touched, "wanted rows are written and nothing else");
    out.status = status;
    all_positions[1] = NAN;
    fails(ace_fill_rows(e, &in, &out), ACE_ERROR_STRUCTURES, "1 of 4");
    demand(status[0] == ACE_ERROR_NOT_FINITE && status[1] == ACE_OK && isnan(data[0]) &&
               isnan(data[18]) && isnan(data[45]) && data[19] == 77 && isfinite(data[20]),
           "rows of the bad one are no numbers");
    one[3] = HEIGHT;
    fails(ace_fill_rows(e, &in, &out), ACE_ERROR_ARGUMENT, "rows.energy");
    one[3] = 2, three[1] = HEIGHT - 8;
    fails(ace_fill_rows(e, &in, &out), ACE_ERROR_ARGUMENT, "rows.forces");
    three[1] = 20, six[3] = HEIGHT - 5;
    fails(ace_fill_rows(e, &in, &out), ACE_ERROR_ARGUMENT, "rows.virial");
    six[3] = 50, out.data = NULL;
    fails(ace_fill_rows(e, &in, &out), ACE_ERROR_ARGUMENT, "rows.data");
    fails(ace_fill_rows(NULL, &in, &out), ACE_ERROR_ARGUMENT, "evaluator");
    fails(ace_fill_rows(e, NULL, &out), ACE_ERROR_ARGUMENT, "structures");
    fails(ace_fill_rows(e, &in, NULL), ACE_ERROR_ARGUMENT, "rows");
}

static void no_rows(void) {
    ace_evaluator* other;
    ace_structures in = four();
    ace_rows out;
    memset(&out, 0, sizeof out);
    out.size = sizeof out;
    free(tables);
    read_tables(ACE_TEST_DATA "/density.tables");
    demand(ace_open(tables, size, NULL, &other) == ACE_OK, "a nonlinear model");
    demand(ace_functions(other) == 0, "has no functions");
    fails(ace_fill_rows(other, &in, &out), ACE_ERROR_ARGUMENT, "no design matrix");
    ace_destroy(other);
}

int main(void) {
    read_tables(ACE_TEST_DATA "/linear.tables");
    versions();
    options();
    demand(ace_open(tables, size, NULL, &e) == ACE_OK, "a model");
    if (failures) return 1;
    cutoffs();
    precisions();
    together();
    weighted_atoms();
    stopped();
    some_wanted();
    weighted();
    one_bad();
    bad_arrays();
    lists();
    bad_lists();
    rows();
    no_rows();
    ace_destroy(e);
    free(tables);
    return failures ? 1 : 0;
}
