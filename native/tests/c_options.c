/* Versions, structs with sizes, precisions, what a model is, from C. */
#include "structures.h"

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

int main(void) {
    read_tables(ACE_TEST_DATA "/linear.tables");
    versions();
    options();
    demand(ace_open(tables, size, NULL, &e) == ACE_OK, "a model");
    if (failures) return 1;
    cutoffs();
    precisions();
    ace_destroy(e);
    free(tables);
    return failures ? 1 : 0;
}
