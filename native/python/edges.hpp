// A full list of edges, for Python.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ace/edges.hpp"
#include "ace/errors.hpp"
#include "arrays.hpp"

namespace nb = nanobind;

namespace ace::python {

// Atoms, neighbours and reverses as columns [edges, 3], shifts [edges, 3] and vectors [edges, 3].
inline nb::tuple edges(In<double, -1, 3> positions, In<int32_t, -1> species, In<double, 3, 3> cell,
                       In<bool, 3> pbc, In<double, 3, 3> inverse, In<double, -1, -1> cutoff) {
    const size_t n = positions.shape(0), kinds = cutoff.shape(0);
    if (species.shape(0) != n || cutoff.shape(1) != kinds)
        throw ace::Error("edges: arrays do not fit together");
    const int periodic[3] = {pbc.data()[0], pbc.data()[1], pbc.data()[2]};
    ace::EdgeList list;
    {
        const nb::gil_scoped_release release;
        list.build(static_cast<int>(n), positions.data(), species.data(), static_cast<int>(kinds),
                   cell.data(), periodic, inverse.data(), cutoff.data());
    }
    const size_t count = list.count();
    auto ends = std::make_unique<int64_t[]>(3 * count);
    auto shifts = std::make_unique<int64_t[]>(3 * count);
    Owned vectors({count, 3});
    for (size_t e = 0; e < count; e++) {
        ends[e] = list.centre(e);
        ends[count + e] = list.neighbour(e);
        ends[2 * count + e] = list.reverse(e);
        std::copy_n(list.shift(e), 3, shifts.get() + 3 * e);
        std::copy_n(list.vector(e), 3, vectors.data + 3 * e);
    }
    const auto numpy = [](std::unique_ptr<int64_t[]>& held, size_t rows, size_t columns) {
        nb::capsule owner(held.get(), [](void* p) noexcept { delete[] static_cast<int64_t*>(p); });
        const size_t shape[2] = {rows, columns};
        return nb::ndarray<nb::numpy, int64_t>(held.release(), 2, shape, owner);
    };
    return nb::make_tuple(numpy(ends, 3, count), numpy(shifts, count, 3), vectors.numpy());
}

}  // namespace ace::python
