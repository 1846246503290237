#include "ace/concatenated.hpp"

#include <climits>
#include <string>

#include "ace/errors.hpp"

namespace ace {
namespace {

Structure structure(const Concatenated& in, size_t k) {
    Structure out;
    const size_t begin = in.first[k];
    out.atoms = out.points = static_cast<int>(in.first[k + 1] - in.first[k]);
    out.positions = in.positions + 3 * begin;
    out.species = in.species + begin;
    if (!in.cells || !in.pbc) return out;
    out.cell = in.cells + 9 * k;
    for (int d = 0; d < 3; d++) out.pbc[d] = in.pbc[3 * k + d] != 0;
    return out;
}

template <class T>
T* moved(T* array, size_t by) { return array ? array + by : nullptr; }

}  // namespace

void split(const Concatenated& in, const Results& all, std::vector<Structure>& structures,
           std::vector<Results>& results) {
    if (in.count > INT_MAX) throw Error("structures: expected fewer than 2^31");
    const size_t atoms = in.first[in.count];
    structures.clear();
    results.clear();
    structures.reserve(in.count);
    results.reserve(in.count);
    for (size_t k = 0; k < in.count; k++) {
        const int64_t begin = in.first[k], end = in.first[k + 1];
        if (begin < 0 || end < begin || end - begin > INT_MAX || (k == 0 && begin != 0))
            throw Error("first: expected to ascend from 0, got " + std::to_string(begin) +
                        " and then " + std::to_string(end));
        structures.push_back(structure(in, k));
        Results out = all;
        out.energies = moved(all.energies, begin);
        out.forces = moved(all.forces, 3 * begin);
        out.virials = moved(all.virials, 9 * begin);
        out.virial = moved(all.virial, 9 * k);
        out.centroid_virials = moved(all.centroid_virials, 9 * begin);
        out.weights = moved(all.weights, k);
        out.site_weights = moved(all.site_weights, begin);
        out.atom_stride = out.point_stride = atoms;
        out.structure_stride = in.count;
        results.push_back(out);
    }
}

}  // namespace ace
