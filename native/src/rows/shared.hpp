// What all calls of a builder share and nobody changes.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "ace/tables.hpp"
#include "rows/families.hpp"
#include "rows/geometry.hpp"
#include "rows/plan.hpp"

namespace ace::ACE_ISA::rows {

struct Shared {
    const Tables tables;
    const std::vector<Family> families;
    const Geometry geometry;
    std::vector<std::unique_ptr<const RowPlan>> plans;  // by central species

    explicit Shared(Tables given)
        : tables(std::move(given)), families(ace::rows::families(tables)),
          geometry(tables, families) {
        for (int s = 0; s < tables.species; s++)
            plans.push_back(std::make_unique<const RowPlan>(tables, families, s));
    }

    // Of neighbours of species z within reach t of a centre.
    const Program& program(int centre, int z, int t) const {
        return plans[centre]->programs[z * geometry.reaches() + t];
    }
};

}  // namespace ace::ACE_ISA::rows
