/* Several structures in one call, from C. */
#include "structures.h"

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

int main(void) {
    read_tables(ACE_TEST_DATA "/linear.tables");
    demand(ace_open(tables, size, NULL, &e) == ACE_OK, "a model");
    if (failures) return 1;
    together();
    weighted_atoms();
    stopped();
    some_wanted();
    weighted();
    one_bad();
    bad_arrays();
    ace_destroy(e);
    free(tables);
    return failures ? 1 : 0;
}
