// From the derivatives of all functions in the A's of one family to the Program that sums them up.
#pragma once
#include <vector>

#include "rows/plan.hpp"

namespace ace::rows {

// What one function's derivative in one A has of a place: coefficient x[place].
struct Part {
    int column, place;
    double coefficient;
};

// Of one function in one family: the parts, or coefficient (x[factor] dB_parent + x[value] dA) with
// the A of a column; parent or column may be -1.
struct Derivative {
    int function;
    std::vector<Part> parts;
    int parent = -1, factor = -1, column = -1, value = -1;
    double coefficient = 0;
};

// Adds the weights to those of the families before, and counts what is kept of them.
Program make_program(const Family& family, const std::vector<Derivative>& derivatives,
                     Sums& weights, int& kept);

}  // namespace ace::rows
