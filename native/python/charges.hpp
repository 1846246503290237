// Sums for Gaussian charges, for Python.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "ace/charges.hpp"
#include "ace/errors.hpp"
#include "arrays.hpp"

namespace nb = nanobind;

namespace ace::python {

using Line = In<double, -1>;

inline void require(bool fits, const char* what) {
    if (!fits) throw ace::Error(std::string(what) + ": arrays do not fit together");
}

// Numbers of all pairs [n, n], by one of the functions that make them.
template <void (*fill)(int, const double*, const double*, double*)>
Out gaussians(In<double, -1, 3> positions, Line widths) {
    const size_t n = positions.shape(0);
    require(widths.shape(0) == n, "gaussians");
    Owned made({n, n}, Contents::anything);
    {
        const nb::gil_scoped_release release;
        fill(static_cast<int>(n), positions.data(), widths.data(), made.data);
    }
    return made.numpy();
}

inline nb::tuple gaussian_pull(In<double, -1, 3> positions, Line widths, Line left, Line right) {
    const size_t n = positions.shape(0);
    require(widths.shape(0) == n && left.shape(0) == n && right.shape(0) == n, "gaussian_pull");
    Owned forces({n, 3}, Contents::anything), virial({3, 3});
    {
        const nb::gil_scoped_release release;
        ace::gaussian_pull(static_cast<int>(n), positions.data(), widths.data(), left.data(),
                           right.data(), forces.data, virial.data);
    }
    return nb::make_tuple(forces.numpy(), virial.numpy());
}

// The pairs of one structure.
class PairsHandle {
  public:
    PairsHandle(In<double, -1, 3> positions, In<int32_t, -1> kinds, Line widths,
                In<double, 3, 3> cell, In<double, 3, 3> inverse, In<double, -1, -1> reach,
                double sigma)
        : pairs_(made(positions, kinds, widths, cell, inverse, reach, sigma)) {}

    // Atoms [2, pairs], vectors from the first to the second [pairs, 3], values and slopes [pairs].
    nb::tuple arrays() const {
        const size_t count = pairs_.count();
        auto held = std::make_unique<int64_t[]>(2 * count);
        Owned vectors({count, 3}, Contents::anything), values({count}), slopes({count});
        for (size_t row = 0; row < pairs_.rows(); row++)
            for (size_t k = pairs_.begin(row); k < pairs_.begin(row + 1); k++) {
                held[k] = pairs_.first(row);
                held[count + k] = pairs_.second(k);
                std::copy_n(pairs_.vector(k), 3, vectors.data + 3 * k);
                values.data[k] = pairs_.value(k);
                slopes.data[k] = pairs_.slope(k);
            }
        nb::capsule owner(held.get(), [](void* p) noexcept { delete[] static_cast<int64_t*>(p); });
        const size_t shape[2] = {2, count};
        nb::ndarray<nb::numpy, int64_t> ends(held.release(), 2, shape, owner);
        return nb::make_tuple(ends, vectors.numpy(), values.numpy(), slopes.numpy());
    }
    PairsHandle within(double distance) const { return PairsHandle(pairs_.within(distance)); }
    Out product(Line charges) const {
        require(charges.shape(0) == atoms(), "product");
        Owned found({atoms()});
        pairs_.product(charges.data(), found.data);
        return found.numpy();
    }
    nb::tuple pull(Line left, Line right) const {
        require(left.shape(0) == atoms() && right.shape(0) == atoms(), "pull");
        Owned forces({atoms(), 3}), virial({3, 3});
        pairs_.pull(left.data(), right.data(), forces.data, virial.data);
        return nb::make_tuple(forces.numpy(), virial.numpy());
    }

  private:
    explicit PairsHandle(ScreenedPairs pairs) : pairs_(std::move(pairs)) {}
    static ScreenedPairs made(const In<double, -1, 3>& positions, const In<int32_t, -1>& kinds,
                              const Line& widths, const In<double, 3, 3>& cell,
                              const In<double, 3, 3>& inverse, const In<double, -1, -1>& reach,
                              double sigma) {
        const size_t count = widths.shape(0);
        require(kinds.shape(0) == positions.shape(0) && reach.shape(0) == count &&
                    reach.shape(1) == count && sigma > 0,
                "ScreenedPairs");
        const nb::gil_scoped_release release;
        return ScreenedPairs(static_cast<int>(positions.shape(0)), positions.data(), kinds.data(),
                             static_cast<int>(count), widths.data(), cell.data(), inverse.data(),
                             reach.data(), sigma);
    }
    size_t atoms() const { return static_cast<size_t>(pairs_.atoms()); }

    ScreenedPairs pairs_;
};

// The splines of one structure on one mesh.
class SplinesHandle {
  public:
    SplinesHandle(In<double, -1, 3> fractions, In<int32_t, 3> shape, int order)
        : splines_(static_cast<int>(fractions.shape(0)), fractions.data(), shape.data(), order) {}

    Out spread(Line charges) const {
        require(charges.shape(0) == atoms(), "spread");
        const int* shape = splines_.shape();
        Owned mesh({static_cast<size_t>(shape[0]), static_cast<size_t>(shape[1]),
                    static_cast<size_t>(shape[2])},
                   Contents::anything);
        splines_.spread(charges.data(), mesh.data);
        return mesh.numpy();
    }
    Out gather(In<double, -1, -1, -1> mesh) const {
        check(mesh);
        Owned found({atoms()});
        splines_.gather(mesh.data(), found.data);
        return found.numpy();
    }
    Out gather_slopes(In<double, -1, -1, -1> mesh) const {
        check(mesh);
        Owned found({atoms(), 3});
        splines_.gather_slopes(mesh.data(), found.data);
        return found.numpy();
    }

  private:
    void check(const In<double, -1, -1, -1>& mesh) const {
        bool fits = true;
        for (size_t d = 0; d < 3; d++)
            fits = fits && mesh.shape(d) == static_cast<size_t>(splines_.shape()[d]);
        require(fits, "gather");
    }
    size_t atoms() const { return static_cast<size_t>(splines_.atoms()); }

    MeshSplines splines_;
};

}  // namespace ace::python
