// What all threads of an evaluator share and nobody changes.
#pragma once
#include <memory>
#include <vector>

#include "ace/tables.hpp"
#include "engine/angular.hpp"
#include "engine/centre.hpp"
#include "engine/embedding.hpp"
#include "engine/gather.hpp"

namespace ace::ACE_ISA {

template <class T, class A = T>
struct Shared {
    const Tables& tables;
    const double cutoff;  // the longest
    std::vector<std::unique_ptr<Centre<T, A>>> centres;
    const Tiles<T, A> tiles;
    const AngularTable<T, most_l> angular;
    std::vector<Curve> curves;  // [species * densities + density]

    // Without centres for tables that are no energy.
    explicit Shared(const Tables& given) : tables(given), cutoff(given.longest_cutoff()) {
        if (!tables.is_energy()) return;
        for (size_t k = 0; k < tables.embeddings.exponent.size(); k++)
            curves.emplace_back(tables.embeddings.shifted[k / tables.densities] != 0,
                                tables.embeddings.exponent[k]);
        for (int s = 0; s < tables.species; s++)
            centres.push_back(std::make_unique<Centre<T, A>>(tables, s));
    }
};

}  // namespace ace::ACE_ISA
