// The lattice of a structure by its shortest vectors, so that equivalent cells are the same to all
// that follows: a cell sheared by a hundred lattice vectors has the images of the plain one.
#pragma once

namespace ace {

struct Lattice {
    // Rows of `cell` along directions that are not periodic are ignored. Throws Error on vectors
    // that are not finite and on periodic vectors that span no volume.
    Lattice(const double* cell, const int* pbc);

    // Along periodic directions the shortest vectors (Minkowski-reduced), or the given ones where
    // these are little longer; along the others unit vectors normal to all of these.
    double vectors[3][3];
    double dual[3][3];  // dual[k] . vectors[j] is 1 for j = k, else 0
    double height[3] = {};  // between layers of lattice points
    bool periodic[3];

    // Moves a position into the cell along periodic directions, and gives its coordinates in it.
    void fold(const double* position, double* inside, double* fraction) const;

  private:
    bool reduce();
    bool complete();
};

}  // namespace ace
