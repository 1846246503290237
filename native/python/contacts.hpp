// Atoms that are too close, for Python.
#pragma once
#include <cstddef>
#include <cstdint>

#include "ace/contacts.hpp"
#include "ace/errors.hpp"
#include "arrays.hpp"

namespace nb = nanobind;

namespace ace::python {

// Atoms of numbers [structures, atoms] at positions [structures, atoms, 3] in cells [structures, 3,
// 3]: structures in which two are closer than `least` [kinds, kinds] are no longer chosen
// [structures].
inline void keep_apart(nb::ndarray<bool, nb::ndim<1>, nb::c_contig, nb::device::cpu> chosen,
                       In<int64_t, -1, -1> numbers, In<double, -1, -1, 3> positions,
                       In<double, -1, 3, 3> cells, bool periodic, In<double, -1, -1> least) {
    const size_t count = numbers.shape(0), n = numbers.shape(1), kinds = least.shape(0);
    if (positions.shape(0) != count || positions.shape(1) != n || cells.shape(0) != count ||
        least.shape(1) != kinds || chosen.shape(0) != count)
        throw ace::Error("keep_apart: arrays do not fit together");
    const nb::gil_scoped_release release;
    ace::Contacts contacts(static_cast<int>(kinds), least.data());
    for (size_t s = 0; s < count; s++)
        if (bool& apart = chosen.data()[s])
            apart = !contacts.in(static_cast<int>(n), positions.data() + 3 * n * s,
                                 numbers.data() + n * s, cells.data() + 9 * s, periodic);
}

}  // namespace ace::python
