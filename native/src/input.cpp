#include "ace/input.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "ace/errors.hpp"
#include "ace/limits.hpp"

namespace ace {
namespace {

std::string text(int64_t number) { return std::to_string(number); }

void check_list(const Structure& in) {
    if (in.points < in.atoms)
        throw Error("neighbours: expected at least as many points as atoms, got " +
                    text(in.points) + " points for " + text(in.atoms) + " atoms");
    for (int64_t k = 0; k < int64_t(3) * in.points; k++)
        if (!(std::abs(in.positions[k]) < 1e8))
            throw Error("positions: atom # is not at a finite position within 1e8 A", k / 3, -1,
                        Fault::not_finite);
    if (in.first[0] < 0) throw Error("first: expected to ascend from 0, got " + text(in.first[0]));
    for (int i = 0; i < in.atoms; i++)
        if (in.first[i + 1] < in.first[i])
            throw Error("first: expected to ascend, got " + text(in.first[i + 1]) + " after " +
                        text(in.first[i]));
    if (in.first[in.atoms] > in.first[0] && !in.neighbours)
        throw Error("neighbours: expected an array, got null");
    for (int i = 0; i < in.atoms; i++)
        for (int64_t k = in.first[i]; k < in.first[i + 1]; k++)
            if (in.neighbours[k] < 0 || in.neighbours[k] >= in.points)
                throw Error("neighbours: atom # has the neighbour " + text(in.neighbours[k]) +
                                ", expected 0 to " + text(in.points - 1),
                            i);
}

// Calls visit(values, count, width, name) for the part of a structure in every array of its results,
// which holds `width` numbers for each of `count` atoms.
template <class F>
void each_result(const Structure& in, const Results& out, F&& visit) {
    const auto stride = [](size_t given, int own) { return given ? given : static_cast<size_t>(own); };
    const size_t atoms = stride(out.atom_stride, in.atoms), points = stride(out.point_stride, in.points);
    const size_t structures = stride(out.structure_stride, 1);
    for (int o = 0; o < out.outputs; o++) {
        if (out.energies) visit(out.energies + o * atoms, in.atoms, 1, "the energy of atom #");
        if (o > 0 && out.combined()) continue;
        if (out.forces) visit(out.forces + o * points * 3, in.points, 3, "the force of atom #");
        if (out.virials && !(out.model_virials && o > 0))
            visit(out.virials + o * atoms * 9, in.atoms, 9, "the virial of atom #");
        if (out.virial) visit(out.virial + o * structures * 9, 1, 9, "the virial");
    }
    if (out.centroid_virials) visit(out.centroid_virials, in.points, 9, "the virial of atom #");
}

}  // namespace

void check_results(const Structure& in, const Results& out) {
    each_result(in, out, [](const double* values, size_t count, size_t width, const char* what) {
        for (size_t k = 0; k < count * width; k++)
            if (!(std::abs(values[k]) < 0x1p996))  // as the engine's is_finite
                throw Error(std::string(what) + " is not a finite number",
                            static_cast<int64_t>(k / width), -1, Fault::not_finite);
    });
}

void no_results(const Structure& in, const Results& out) {
    each_result(in, out, [](double* values, size_t count, size_t width, const char*) {
        std::fill(values, values + count * width, std::nan(""));
    });
}

void check_values(const Structure& in, int rows, const double* values) {
    for (int64_t k = 0; k < int64_t(in.atoms) * rows; k++)
        if (!std::isfinite(values[k]))
            throw Error("a value of atom # is not a finite number", k / rows, -1,
                        Fault::not_finite);
}

void no_values(const Structure& in, int rows, double* values) {
    std::fill(values, values + static_cast<size_t>(in.atoms) * rows, std::nan(""));
}

void check_threads(int threads) {
    if (threads < 1 || threads > most_threads)
        throw Error("threads: expected 1 to " + text(most_threads) + ", got " + text(threads));
}

void check_input(const Structure& in, int threads) {
    check_threads(threads);
    if (in.atoms < 0 || in.points < 0)
        throw Error("expected 0 atoms or more, got " + text(in.atoms) + " atoms among " +
                    text(in.points) + " points");
    if (in.points > 0 && !in.positions) throw Error("positions: expected an array, got null");
    if (in.points > 0 && !in.species) throw Error("species: expected an array, got null");
    if (in.first) {
        check_list(in);
    } else if (!in.cell && (in.pbc[0] || in.pbc[1] || in.pbc[2])) {
        throw Error("cell: expected lattice vectors for periodic directions, got null");
    }
}

}  // namespace ace
