#include "results.hpp"

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

Wanted::Wanted(const ace_results& given, int most, std::vector<int64_t> first)
    : first_(std::move(first)), energy_(given.energy) {
    all_.outputs = checked(given.outputs, most);
    if (energy_ && !given.energies) energies_.resize(all_.outputs * first_.back());
    all_.energies = energies_.empty() ? given.energies : energies_.data();
    all_.forces = given.forces;
    all_.virials = given.virials;
    all_.virial = given.virial;
    all_.centroid_virials = given.centroid_virials;
    all_.weights = given.weights;
    all_.site_weights = given.site_weights;
}

void Wanted::sum() const {
    const size_t count = first_.size() - 1;
    for (int o = 0; o < all_.outputs && energy_; o++) {
        const double* e = all_.energies + o * first_.back();
        for (size_t s = 0; s < count; s++)
            energy_[o * count + s] = std::accumulate(e + first_[s], e + first_[s + 1], 0.0);
    }
}

}  // namespace ace::c_api
