/* What the tests in C share: demands, a model and three atoms. */
#ifndef ACE_TESTS_DEMAND_H
#define ACE_TESTS_DEMAND_H
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ace/c_api.h"

static int failures = 0;

static void demand(int condition, const char* what) {
    printf("%s  %s\n", condition ? "ok    " : "FAILED", what);
    if (!condition) failures++;
}

/* A failure, and a message that holds `part`. */
static void refused(int status, const char* part) {
    const char* message = ace_last_error();
    const int good = status != 0 && ace_last_status() != 0 && strstr(message, part) != NULL;
    if (!good) printf("        status %d, message '%s'\n", status, message);
    demand(good, part);
}

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

/* The bytes of a model of two elements, O and Si, with two members in its committee. */
static unsigned char* tables;
static size_t size;

static void read_tables(const char* name) {
    FILE* file = fopen(name, "rb");
    if (!file) {
        printf("FAILED  cannot open %s\n", name);
        exit(1);
    }
    tables = malloc(100000);
    size = fread(tables, 1, 100000, file);
    fclose(file);
}

static double positions[9] = {0, 0, 0, 1.7, 0.1, 0, 0, 1.9, 0.3};
static int32_t species[3] = {0, 1, 0};
static double cell[9] = {6, 0.3, 0, -0.4, 5.5, 0.2, 0.1, 0.6, 6.5};
static int pbc[3] = {1, 1, 0};

#endif
