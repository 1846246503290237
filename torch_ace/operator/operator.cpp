// The native evaluator as operators of torch, for TorchScript too. LibTorch's stable ABI only, so
// that one binary serves every torch from 2.10 on. They have no derivatives of their own: callers
// make energies differentiable from the forces and gradients (torch_ace/native.py).
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ace/c_api.h"
#include "sha256.hpp"

namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Models that stay open; a process seldom has more, and one that has waits for them to reopen.
constexpr size_t most_models = 16;
// Atoms a thread must have to be worth starting.
constexpr int64_t per_thread = 64;

void require(bool good, const std::string& message) {
    if (!good) throw std::runtime_error("acepot: " + message);
}

void require(int status) { require(status == 0, ace_last_error()); }

using Evaluator = std::shared_ptr<ace_evaluator>;

// The evaluator of a model, made at its first use. Models are told apart by the SHA-256 of their
// bytes: memory that is freed and used again never brings back another model.
Evaluator evaluator(const Tensor& tables, const std::string& key) {
    static std::mutex turn;
    static std::list<std::pair<std::string, Evaluator>> open;  // the last used first
    const std::lock_guard<std::mutex> lock(turn);
    const auto known =
        std::find_if(open.begin(), open.end(), [&](const auto& one) { return one.first == key; });
    if (known != open.end()) {
        open.splice(open.begin(), open, known);
        return open.front().second;
    }
    require(tables.scalar_type() == ScalarType::Byte && tables.is_contiguous(),
            "tables: expected contiguous bytes (uint8)");
    const auto* data = static_cast<const unsigned char*>(tables.const_data_ptr());
    const size_t size = tables.numel();
    const std::string found = sha256(data, size);
    require(found == key, "tables: expected bytes with SHA-256 " + key + ", got " + found);
    Evaluator made(ace_create(data, size, nullptr), ace_destroy);
    require(made != nullptr, ace_last_error());
    open.emplace_front(key, made);
    if (open.size() > most_models) open.pop_back();
    return made;
}

// The elements of a tensor of the type and shape that are expected; -1 is any length.
template <class T>
const T* elements(const Tensor& t, ScalarType type, const std::vector<int64_t>& shape,
                  const char* what) {
    bool good = t.scalar_type() == type && t.is_contiguous() && t.is_cpu() &&
                t.dim() == static_cast<int64_t>(shape.size());
    for (size_t k = 0; good && k < shape.size(); k++)
        good = shape[k] < 0 || t.size(k) == shape[k];
    std::string text;
    for (const int64_t n : shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
    require(good, std::string(what) + ": expected a contiguous tensor on the CPU of shape [" + text +
                      "] and type " + (type == ScalarType::Double ? "float64"
                                       : type == ScalarType::Long ? "int64"
                                                                  : "bool"));
    return static_cast<const T*>(t.const_data_ptr());
}

Tensor results(const Tensor& like, const std::vector<int64_t>& shape) {
    return torch::stable::new_empty(like, shape, ScalarType::Double);
}

double* values(const Tensor& t) { return static_cast<double*>(t.mutable_data_ptr()); }

int threads(int64_t atoms) {
    const int64_t most = torch::stable::get_num_threads();
    return static_cast<int>(std::clamp<int64_t>(atoms / per_thread, 1, most));
}

// Species indices from outside; the library checks that the model has them.
std::vector<int32_t> narrow(const int64_t* from, int64_t n) {
    std::vector<int32_t> to(n);
    for (int64_t i = 0; i < n; i++) {
        require(from[i] >= 0 && from[i] <= std::numeric_limits<int32_t>::max(),
                "species: expected indices of the model's elements, got " +
                    std::to_string(from[i]));
        to[i] = static_cast<int32_t>(from[i]);
    }
    return to;
}

// Energies [n] in eV, forces [n, 3] in eV/A and the virial [3, 3] in eV of atoms in a cell whose
// rows are lattice vectors.
std::tuple<Tensor, Tensor, Tensor> evaluate(Tensor tables, std::string key, Tensor species,
                                            Tensor positions, Tensor cell, Tensor pbc) {
    const int64_t n = species.numel();
    const auto* places = elements<double>(positions, ScalarType::Double, {n, 3}, "positions");
    const auto* elements_of = elements<int64_t>(species, ScalarType::Long, {n}, "species");
    const auto* rows = elements<double>(cell, ScalarType::Double, {3, 3}, "cell");
    const auto* repeats = elements<bool>(pbc, ScalarType::Bool, {3}, "pbc");
    require(n <= std::numeric_limits<int>::max(), "positions: too many atoms");
    const std::vector<int32_t> indices = narrow(elements_of, n);
    const int periodic[3] = {repeats[0], repeats[1], repeats[2]};
    const Tensor energies = results(positions, {n}), forces = results(positions, {n, 3}),
                 virial = results(positions, {3, 3});
    std::vector<double> parts(9 * n);
    require(ace_evaluate(evaluator(tables, key).get(), static_cast<int>(n), places, indices.data(),
                         rows, periodic, threads(n), 1, values(energies), values(forces),
                         parts.data()));
    double* total = values(virial);
    std::fill_n(total, 9, 0.0);
    for (int64_t k = 0; k < 9 * n; k++) total[k % 9] += parts[k];
    return {energies, forces, virial};
}

// What went wrong, in the numbers of whoever passed the edges: the library numbers their ends
// after the atoms.
std::string of_edges(const std::string& message, int64_t n, int64_t count, const int64_t* from,
                     const int64_t* to, const double* apart) {
    double least = std::numeric_limits<double>::infinity();
    int64_t shortest = 0;
    for (int64_t e = 0; e < count; e++) {
        const double* d = apart + 3 * e;
        const double r = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
        const std::string ends = std::to_string(from[e]) + " and " + std::to_string(to[e]);
        if (!std::isfinite(r))
            return "edge " + std::to_string(e) + " between atoms " + ends +
                   ": expected finite numbers of angstrom";
        if (r < least) {
            least = r;
            shortest = e;
        }
    }
    if (count == 0) return message;
    return message + " (numbers from " + std::to_string(n) +
           " on are ends of edges; the shortest edge, " + std::to_string(least) +
           " A, joins atoms " + std::to_string(from[shortest]) + " and " +
           std::to_string(to[shortest]) + ")";
}

// Edges in any order as the library's list. Every neighbour is a point of its own, seen from the
// origin: the force on it is that edge's derivative.
struct EdgeList {
    int64_t n, count;
    const int64_t *from, *to;
    const double* apart;
    std::vector<int32_t> species, neighbours;
    std::vector<int64_t> first, place;
    std::vector<double> positions;

    EdgeList(const Tensor& kinds, const Tensor& centre, const Tensor& neighbour,
             const Tensor& vector)
        : n(kinds.numel()), count(centre.numel()) {
        from = elements<int64_t>(centre, ScalarType::Long, {count}, "centre");
        to = elements<int64_t>(neighbour, ScalarType::Long, {count}, "neighbour");
        apart = elements<double>(vector, ScalarType::Double, {count, 3}, "vector");
        const auto* elements_of = elements<int64_t>(kinds, ScalarType::Long, {n}, "species");
        require(points() <= std::numeric_limits<int>::max(), "vector: too many edges");
        species = narrow(elements_of, n);
        first.assign(n + 1, 0);
        for (int64_t e = 0; e < count; e++) {
            require(from[e] >= 0 && from[e] < n && to[e] >= 0 && to[e] < n,
                    "edge " + std::to_string(e) + ": expected atoms 0 to " +
                        std::to_string(n - 1) + ", got " + std::to_string(from[e]) + " and " +
                        std::to_string(to[e]));
            first[from[e] + 1]++;
        }
        for (int64_t i = 0; i < n; i++) first[i + 1] += first[i];
        std::vector<int64_t> next(first.begin(), first.end() - 1);
        place.resize(count);
        neighbours.resize(count);
        positions.assign(3 * points(), 0.0);
        species.resize(points());
        for (int64_t e = 0; e < count; e++) {
            const int64_t k = place[e] = next[from[e]]++;
            neighbours[k] = static_cast<int32_t>(n + k);
            species[n + k] = species[to[e]];
            std::copy_n(apart + 3 * e, 3, &positions[3 * (n + k)]);
        }
    }
    int64_t points() const { return n + count; }
    // Energies [outputs][n], forces [outputs][points][3] or null.
    void evaluate(ace_evaluator* evaluator, int outputs, double* energies, double* forces) const {
        if (ace_evaluate_list(evaluator, static_cast<int>(n), static_cast<int>(points()),
                              positions.data(), species.data(), first.data(), neighbours.data(),
                              threads(n), outputs, energies, forces, nullptr) != 0)
            require(false, of_edges(ace_last_error(), n, count, from, to, apart));
    }
};

// Site energies [n] in eV and their derivatives [E, 3] by the vectors from centres to neighbours,
// in eV/A, for edges in any order.
std::tuple<Tensor, Tensor> evaluate_edges(Tensor tables, std::string key, Tensor species,
                                          Tensor centre, Tensor neighbour, Tensor vector) {
    const EdgeList list(species, centre, neighbour, vector);
    std::vector<double> forces(3 * list.points());
    const Tensor energies = results(vector, {list.n}), gradient = results(vector, {list.count, 3});
    list.evaluate(evaluator(tables, key).get(), 1, values(energies), forces.data());
    double* out = values(gradient);
    for (int64_t e = 0; e < list.count; e++)
        for (int d = 0; d < 3; d++) out[3 * e + d] = -forces[3 * (list.n + list.place[e]) + d];
    return {energies, gradient};
}

// Site energies [1 + members, n] in eV of the model and of its committee.
Tensor committee_edges(Tensor tables, std::string key, Tensor species, Tensor centre,
                       Tensor neighbour, Tensor vector) {
    const EdgeList list(species, centre, neighbour, vector);
    const Evaluator model = evaluator(tables, key);
    const int outputs = ace_outputs(model.get());
    const Tensor energies = results(vector, {outputs, list.n});
    list.evaluate(model.get(), outputs, values(energies), nullptr);
    return energies;
}

}  // namespace

STABLE_TORCH_LIBRARY(acepot, m) {
    m.def("evaluate(Tensor tables, str key, Tensor species, Tensor positions, Tensor cell, "
          "Tensor pbc) -> (Tensor energies, Tensor forces, Tensor virial)");
    m.def("evaluate_edges(Tensor tables, str key, Tensor species, Tensor centre, "
          "Tensor neighbour, Tensor vector) -> (Tensor energies, Tensor gradient)");
    m.def("committee_edges(Tensor tables, str key, Tensor species, Tensor centre, "
          "Tensor neighbour, Tensor vector) -> Tensor energies");
}

STABLE_TORCH_LIBRARY_IMPL(acepot, CPU, m) {
    m.impl("evaluate", TORCH_BOX(&evaluate));
    m.impl("evaluate_edges", TORCH_BOX(&evaluate_edges));
    m.impl("committee_edges", TORCH_BOX(&committee_edges));
}
