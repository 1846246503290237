// Design-matrix rows of one structure: what energies, forces and virials of a linear model are
// made of, function by function. One implementation per instruction set.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "ace/tables.hpp"

namespace ace {

// Atoms in a cell; rows of `cell` along directions that are not periodic are ignored.
struct Crystal {
    int atoms = 0;
    const double* positions = nullptr;  // [atoms][3], A
    const int32_t* species = nullptr;   // [atoms]
    const double* cell = nullptr;       // [3][3], A
    int pbc[3] = {0, 0, 0};
};

// A column-major matrix: row r of function k is data[k * stride + r]. A quantity is wanted if
// its first row is not negative: one row of sum_i B_k(i); 3 n rows of -dB_k/dr, atom by atom;
// six rows xx yy zz yz xz xy of -dB_k/d(strain).
struct RowMatrix {
    double* data = nullptr;
    size_t stride = 0;
    ptrdiff_t energy = -1, forces = -1, virial = -1;
};

class RowBuilder {
  public:
    virtual ~RowBuilder();
    // Writes every wanted row and no other place. May be called by several threads at once.
    // Results do not depend on timing, but may differ in rounding between numbers of threads.
    virtual void fill(const Crystal& crystal, int threads, const RowMatrix& out) = 0;
    virtual const char* instruction_set() const = 0;
    virtual int functions() const = 0;
};

// Throws Error on nonlinear models, and on tables that lack the functions.
std::unique_ptr<RowBuilder> make_row_builder(Tables tables, const std::string& instruction_set);

}  // namespace ace
