#include "results.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "ace/errors.hpp"

namespace ace::c_api {
namespace {

int checked(int outputs, int most) {
    const int n = outputs ? outputs : 1;
    if (n < 1 || n > most)
        throw Error("results.outputs: this model has " + std::to_string(most - 1) +
                    " committee members, so expected 1 to " + std::to_string(most) + ", got " +
                    std::to_string(n));
    return n;
}

}  // namespace

Wanted::Wanted(const ace_results& given, int outputs, std::vector<int64_t> first)
    : outputs_(checked(given.outputs, outputs)),
      first_(std::move(first)),
      energy_(given.energy),
      derived_(given.weights ? 1 : outputs_),
      energies_{given.energies, 1, false, given.energies || given.energy, outputs_},
      forces_{given.forces, 3, false, given.forces != nullptr, derived_},
      virials_{given.virials, 9, false, given.virials != nullptr, derived_},
      virial_{given.virial, 9, true, given.virial != nullptr, derived_},
      centroids_(given.centroid_virials) {
    const int64_t count = static_cast<int64_t>(first_.size()) - 1;
    for (Array* a : {&energies_, &forces_, &virials_, &virial_})
        if (a->wanted && !(a->to && (a->outputs == 1 || count <= 1)))
            a->between.resize(static_cast<size_t>(a->outputs) * place(*a, count));
    if (!given.weights) return;
    for (int64_t s = 0; s < count; s++)
        for (int o = 0; o < outputs_; o++) weights_.push_back(given.weights[o * count + s]);
}

// Numbers of one output before those of a structure.
int64_t Wanted::place(const Array& array, int64_t s) const {
    return array.width * (array.whole ? s : first_[s]);
}

double* Wanted::at(Array& array, int64_t s) {
    if (!array.wanted) return nullptr;
    return array.between.empty() ? array.to + place(array, s)
                                 : array.between.data() + array.outputs * place(array, s);
}

double* Wanted::centroids(int64_t s) const {
    return centroids_ ? centroids_ + 9 * first_[s] : nullptr;
}

Results Wanted::results(int64_t s) {
    Results out{outputs_,        at(energies_, s), at(forces_, s),
                at(virials_, s), at(virial_, s),   centroids(s)};
    if (!weights_.empty()) out.weights = weights_.data() + outputs_ * s;
    return out;
}

void Wanted::no_numbers(int64_t s) {
    for (Array* a : {&energies_, &forces_, &virials_, &virial_})
        if (a->wanted)
            std::fill_n(at(*a, s), a->outputs * (place(*a, s + 1) - place(*a, s)),
                        std::numeric_limits<double>::quiet_NaN());
    if (centroids_)
        std::fill_n(centroids(s), 9 * (first_[s + 1] - first_[s]),
                    std::numeric_limits<double>::quiet_NaN());
}

void Wanted::deliver() {
    const int64_t count = static_cast<int64_t>(first_.size()) - 1;
    if (energy_)
        for (int o = 0; o < outputs_; o++)
            for (int64_t s = 0; s < count; s++) {
                const int64_t n = first_[s + 1] - first_[s];
                const double* e = at(energies_, s) + o * n;
                energy_[o * count + s] = std::accumulate(e, e + n, 0.0);
            }
    for (Array* a : {&energies_, &forces_, &virials_, &virial_})
        if (!a->between.empty() && a->to)
            for (int64_t s = 0; s < count; s++) {
                const int64_t here = place(*a, s), n = place(*a, s + 1) - here;
                for (int o = 0; o < a->outputs; o++)
                    std::copy_n(at(*a, s) + o * n, n, a->to + o * place(*a, count) + here);
            }
}

}  // namespace ace::c_api
