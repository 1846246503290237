// Arrays as numpy has them: the caller's, and those that it gets.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ace/errors.hpp"

namespace nb = nanobind;

namespace ace::python {

template <class T, int... shape>
using In = nb::ndarray<const T, nb::shape<shape...>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<nb::numpy, double>;

// An array that numpy owns, zero at first or, if it is filled anyway, anything.
enum class Contents { zero, anything };
struct Owned {
    explicit Owned(std::vector<size_t> dimensions, Contents contents = Contents::zero)
        : shape(std::move(dimensions)) {
        size_t count = 1;
        for (const size_t n : shape) count *= n;
        held.reset(contents == Contents::zero ? new double[count]() : new double[count]);
        data = held.get();
    }
    Out numpy() {
        nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<double*>(p); });
        held.release();
        return Out(data, shape.size(), shape.data(), owner);
    }
    std::vector<size_t> shape;
    std::unique_ptr<double[]> held;  // until numpy has it
    double* data;
};

// An array of the caller's, to write into.
template <int dimensions>
using To = nb::ndarray<double, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;

template <int dimensions>
double* place(std::optional<To<dimensions>>& array, const size_t (&shape)[dimensions],
              const char* name) {
    if (!array) return nullptr;
    for (int d = 0; d < dimensions; d++)
        if (array->shape(d) != shape[d])
            throw ace::Error(std::string(name) + ": expected " + std::to_string(shape[d]) +
                             " in dimension " + std::to_string(d) + " of the array, got " +
                             std::to_string(array->shape(d)));
    return array->data();
}

}  // namespace ace::python
