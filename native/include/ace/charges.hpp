// Sums for Gaussian charges: over all pairs of isolated atoms, over the pairs of a cell that repeats
// whose interaction ends, and between atoms and the points of a mesh.
//
// Two Gaussians of widths s and t interact as erf(r/gamma)/r with gamma^2 = 2 (s^2 + t^2), in 1/A.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ace {

// [n][n]: erf(r/gamma)/r of isolated atoms, 1/(s sqrt pi) on the diagonal, there 0 for points.
// Throws Error on two points at one place and on positions that are not finite.
void gaussian_matrix(int n, const double* positions, const double* widths, double* matrix);

// [n][n]: their derivatives by r over r, in 1/A^3; 0 on the diagonal. Throws as gaussian_matrix.
void gaussian_slopes(int n, const double* positions, const double* widths, double* slopes);

// Minus the derivatives of left . A right by the positions, [n][3], and by the strain, [3][3].
// Throws as gaussian_matrix.
void gaussian_pull(int n, const double* positions, const double* widths, const double* left,
                   const double* right, double* forces, double* virial);

// [erf(r/gamma) - erf(r/2 sigma)]/r of all pairs of atoms and images, each of them once.
class ScreenedPairs {
  public:
    // Atoms of kinds 0 ... count - 1 with a width each, in a cell that repeats in three directions,
    // whose inverse is `inverse`; pairs within `reach` [count][count], symmetric, A. Throws Error as
    // Cells does, on atoms at one place and on more than forty million pairs.
    ScreenedPairs(int n, const double* positions, const int32_t* kinds, int count,
                  const double* widths, const double* cell, const double* inverse,
                  const double* reach, double sigma);

    // Row by row: pairs begin(k) to begin(k + 1) - 1 lead from atom first(k) to others.
    int atoms() const { return n_; }
    size_t count() const { return second_.size(); }
    int first(size_t row) const { return row_[row]; }
    size_t rows() const { return row_.size(); }
    size_t begin(size_t row) const { return begin_[row]; }
    int second(size_t pair) const { return second_[pair]; }
    const double* vector(size_t pair) const { return vector_.data() + 3 * pair; }
    double value(size_t pair) const { return value_[pair]; }  // 1/A
    double slope(size_t pair) const { return slope_[pair]; }  // derivative by r over r

    // The pairs that are nearer than a distance.
    ScreenedPairs within(double distance) const;
    // Sums over pairs of the value times the charge of the other atom, [n].
    void product(const double* charges, double* out) const;
    // As gaussian_pull.
    void pull(const double* left, const double* right, double* forces, double* virial) const;

  private:
    explicit ScreenedPairs(int n) : n_(n) {}

    int n_;
    std::vector<int32_t> row_, second_;
    std::vector<size_t> begin_{0};
    std::vector<double> vector_, value_, slope_;
};

// B-splines of atoms on the points of a mesh that repeats.
class MeshSplines {
  public:
    static constexpr int most_order = 16;

    // Atoms at `fractions` [n][3] of the cell, finite; splines of an order up to most_order.
    MeshSplines(int n, const double* fractions, const int* shape, int order);

    int atoms() const { return n_; }
    const int* shape() const { return shape_; }
    size_t points() const {
        return static_cast<size_t>(shape_[0]) * static_cast<size_t>(shape_[1]) *
               static_cast<size_t>(shape_[2]);
    }
    // Charges [n] on the mesh, which is overwritten.
    void spread(const double* charges, double* mesh) const;
    // The mesh at the atoms [n].
    void gather(const double* mesh, double* values) const;
    // Its derivatives by the fractions [n][3].
    void gather_slopes(const double* mesh, double* slopes) const;

  private:
    // Where the splines of an atom begin along each axis, and their points.
    struct Places {
        int x[most_order], y[most_order], z[most_order];
        bool straight;  // points along z follow each other
    };
    Places places(int atom) const;

    int n_, order_, shape_[3];
    std::vector<int> base_;                 // [n][3]: the last point
    std::vector<double> weights_, slopes_;  // [n][3][order], from the first point on
};

}  // namespace ace
