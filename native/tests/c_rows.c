/* Design rows, from C. */
#include "structures.h"

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
    demand(ace_open(tables, size, NULL, &e) == ACE_OK, "a model");
    if (failures) return 1;
    rows();
    no_rows();
    ace_destroy(e);
    free(tables);
    return failures ? 1 : 0;
}
