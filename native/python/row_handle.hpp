// The builder of design rows for Python.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "ace/rows.hpp"
#include "arrays.hpp"

namespace nb = nanobind;

namespace ace::python {

class RowHandle {
  public:
    RowHandle(nb::bytes tables, const std::string& instruction_set)
        : builder_(ace::make_row_builder(
              ace::Tables::read(reinterpret_cast<const unsigned char*>(tables.c_str()),
                                tables.size()),
              instruction_set)) {}

    std::string instruction_set() const { return builder_->instruction_set(); }
    int functions() const { return builder_->functions(); }

    // Writes into out [rows, functions], column-major. A quantity begins at the given row, or is
    // not wanted (-1).
    void fill(In<double, -1, 3> positions, In<int32_t, -1> species, In<double, 3, 3> cell,
              In<int32_t, 3> pbc, int threads, nb::ndarray<double, nb::ndim<2>, nb::device::cpu> out,
              ptrdiff_t energy, ptrdiff_t forces, ptrdiff_t virial) {
        const ptrdiff_t n = static_cast<ptrdiff_t>(positions.shape(0));
        const ptrdiff_t rows = static_cast<ptrdiff_t>(out.shape(0));
        if (n < 1 || species.shape(0) != static_cast<size_t>(n))
            throw ace::Error("species: expected one per atom");
        if (out.shape(1) != static_cast<size_t>(builder_->functions()) || out.stride(0) != 1 ||
            out.stride(1) < rows)
            throw ace::Error("out: expected a column-major matrix of " +
                             std::to_string(builder_->functions()) + " columns");
        if (energy >= rows || forces + 3 * n > rows + (forces < 0) * 3 * n ||
            virial + 6 > rows + (virial < 0) * 6)
            throw ace::Error("out: too few rows");
        ace::Crystal crystal;
        crystal.atoms = static_cast<int>(n);
        crystal.positions = positions.data();
        crystal.species = species.data();
        crystal.cell = cell.data();
        for (int d = 0; d < 3; d++) crystal.pbc[d] = pbc.data()[d];
        const ace::RowMatrix matrix{out.data(), static_cast<size_t>(out.stride(1)), energy, forces,
                                    virial};
        const nb::gil_scoped_release release;
        builder_->fill(crystal, threads, matrix);
    }

  private:
    std::unique_ptr<ace::RowBuilder> builder_;
};

}  // namespace ace::python
