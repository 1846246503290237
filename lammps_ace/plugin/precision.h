// What less than double precision costs a model, as acepot/evaluate/precision.py measures it.
// SPDX-License-Identifier: GPL-2.0-only
#ifndef ACEPOT_PRECISION_H
#define ACEPOT_PRECISION_H

#include <string>
#include <vector>

#include "ace/c_api.h"

namespace acepot {

// One of ace_precision by its name, -1 if there is none.
int precision_named(const std::string &name);

struct PrecisionLoss {
    bool measured = false;
    // eV/atom and eV/A: the largest error of an energy, the root mean square and the largest of the
    // errors of force components, and the root mean square of these components.
    double energy = 0, forces = 0, largest = 0, scale = 0;
};

// Of an evaluator against the same model in double precision, on close-packed crystals of these
// elements, compressed and stretched, with displacements of 5 % of a bond length. It is not
// measured if the model has no energy there: then ace_last_error() says why.
PrecisionLoss precision_loss(ace_evaluator *exact, ace_evaluator *other,
                             const std::vector<int> &elements);

}  // namespace acepot
#endif
