/* Lists of the caller's, as positions or as vectors, from C. */
#include "structures.h"

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

/* ------------------------------------------------------------------ values of sites */

enum { VALUES = 64, EDGES = 4 }; /* room for the values of an atom; of the list */
static double values[2 * VALUES], derivatives[2 * VALUES], adjoints[2 * VALUES];
static double site_forces[9], site_virial[9], site_virials[18], site_edges[3 * EDGES];

static ace_sites some_sites(void) {
    ace_sites out;
    memset(&out, 0, sizeof out);
    out.size = sizeof out;
    out.values = values;
    return out;
}

/* Numbers between -1 and 1, without a pattern. */
static void fill(double* to, int count, double seed) {
    for (int k = 0; k < count; k++) to[k] = sin(seed + 12.9898 * k);
}

/* Of two atoms and a ghost as of the first two of three atoms, in every quantity. */
static void sites(void) {
    const int V = ace_site_values(e);
    int64_t ends_of_three[2] = {0, 3};
    double u[9], strain[9], whole[3][3 * VALUES], push[9], pull[9], parts[27], all[3 * VALUES];
    ace_structures three;
    ace_sites out = some_sites();
    demand(V > 0 && V <= VALUES, "values of an atom");
    memset(&three, 0, sizeof three);
    three.size = sizeof three;
    three.structures = 1;
    three.first = ends_of_three;
    three.positions = positions;
    three.species = species;
    fill(u, 9, 1);
    fill(strain, 9, 2);
    fill(adjoints, 2 * V, 3);
    memset(all, 0, sizeof all); /* none for the third atom */
    memcpy(all, adjoints, 2 * V * sizeof *all);
    out.values = whole[0];
    out.displacements = u, out.strains = strain, out.derivatives = whole[1];
    out.adjoints = all, out.forces = push, out.virial = pull, out.virials = parts;
    demand(ace_evaluate_sites(e, &three, &out) == ACE_OK, "three atoms");
    for (int as_vectors = 0; as_vectors < 2; as_vectors++)
        for (int threads = 0; threads <= 3; threads++) {
            ace_neighbours in = two(as_vectors);
            in.threads = threads;
            out = some_sites();
            out.displacements = u, out.strains = strain, out.derivatives = derivatives;
            out.adjoints = adjoints, out.forces = site_forces, out.virial = site_virial;
            out.virials = site_virials;
            if (as_vectors) out.edge_forces = site_edges;
            demand(ace_evaluate_neighbour_sites(e, &in, &out) == ACE_OK, "two atoms and a ghost");
            demand(near_by(values, whole[0], 2 * V, 1e-12), "values of the list");
            demand(near_by(derivatives, whole[1], 2 * V, 1e-11), "their derivatives");
            demand(near_by(site_forces, push, 9, 1e-11), "forces, those on the ghost, too");
            demand(near_by(site_virial, pull, 9, 1e-11), "the virial");
            demand(near_by(site_virials, parts, 18, 1e-11), "virials of the atoms");
        }
}

/* Values by the vectors: their derivatives along any change, forces on each. */
static void sites_by_edges(void) {
    const int V = ace_site_values(e);
    double along[3 * EDGES], sides[2][2 * VALUES], slope[2 * VALUES], left = 0, right = 0;
    const double step = 1e-5;
    ace_neighbours in = two(1);
    ace_sites out = some_sites();
    fill(along, 3 * EDGES, 4);
    fill(adjoints, 2 * V, 5);
    out.edge_displacements = along, out.derivatives = derivatives;
    out.adjoints = adjoints, out.edge_forces = site_edges;
    demand(ace_evaluate_neighbour_sites(e, &in, &out) == ACE_OK, "edges");
    for (int side = 0; side < 2; side++) {
        in = two(1);
        for (int k = 0; k < 3 * EDGES; k++) vectors[k] += (side ? step : -step) * along[k];
        out = some_sites();
        out.values = sides[side];
        demand(ace_evaluate_neighbour_sites(e, &in, &out) == ACE_OK, "moved");
    }
    for (int k = 0; k < 2 * V; k++) {
        slope[k] = (sides[1][k] - sides[0][k]) / (2 * step);
        right += adjoints[k] * derivatives[k];
    }
    for (int k = 0; k < 3 * EDGES; k++) left -= site_edges[k] * along[k];
    demand(near_by(derivatives, slope, 2 * V, 1e-6), "derivatives along changes of the vectors");
    demand(fabs(left - right) < 1e-11, "forces on edges are their adjoint");
}

static void bad_sites(void) {
    ace_neighbours in = two(0);
    ace_sites out = some_sites();
    int status;
    fails(ace_evaluate_neighbour_sites(NULL, &in, &out), ACE_ERROR_ARGUMENT, "evaluator");
    fails(ace_evaluate_neighbour_sites(e, NULL, &out), ACE_ERROR_ARGUMENT, "neighbours: expected");
    fails(ace_evaluate_neighbour_sites(e, &in, NULL), ACE_ERROR_ARGUMENT, "sites: expected");
    out.edge_forces = site_edges;
    fails(ace_evaluate_neighbour_sites(e, &in, &out), ACE_ERROR_ARGUMENT, "sites.edge_forces: only");
    out.edge_forces = NULL, out.edge_displacements = site_edges;
    fails(ace_evaluate_neighbour_sites(e, &in, &out), ACE_ERROR_ARGUMENT, "sites.edge_displacements");
    in = two(1);
    out = some_sites();
    out.edge_forces = site_edges;
    fails(ace_evaluate_neighbour_sites(e, &in, &out), ACE_ERROR_ARGUMENT, "sites.adjoints");
    out.adjoints = adjoints, out.forces = site_forces;
    vectors[9] = vectors[10] = 0, vectors[11] = 0; /* from atom 1 to the ghost */
    fails(ace_evaluate_neighbour_sites(e, &in, &out), ACE_ERROR_TOO_CLOSE, "atoms 1 and 2 sit");
    out.status = &status;
    fails(ace_evaluate_neighbour_sites(e, &in, &out), ACE_ERROR_STRUCTURES, "1 of 1");
    demand(status == ACE_ERROR_TOO_CLOSE && isnan(values[0]) && isnan(site_forces[8]) &&
               isnan(site_edges[0]),
           "a status, and no numbers");
    in = two(0);
    ends[3] = 3;
    out = some_sites();
    fails(ace_evaluate_neighbour_sites(e, &in, &out), ACE_ERROR_ARGUMENT, "the neighbour 3");
    ends[3] = 2;
}

int main(void) {
    read_tables(ACE_TEST_DATA "/linear.tables");
    demand(ace_open(tables, size, NULL, &e) == ACE_OK, "a model");
    if (failures) return 1;
    lists();
    bad_lists();
    sites();
    sites_by_edges();
    bad_sites();
    ace_destroy(e);
    free(tables);
    return failures ? 1 : 0;
}
