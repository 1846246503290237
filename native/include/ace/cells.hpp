// A cell list: atoms and the periodic images near them, sorted so that the neighbours of an atom
// are a few contiguous runs. The search itself is vectorised, in engine.hpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ace {

// Runs of consecutive places in the sorted arrays.
struct Run {
    int begin, end;
};

// Most neighbours of an atom: twice those in ordinary matter within 50 A, or those in matter that is
// compressed ten times within 29 A. More would fill the memory: 0.6 GB a thread at this number.
constexpr size_t most_neighbours = 100000;

// Refuses an atom (or with -1 all of them) with more neighbours.
[[noreturn]] void crowded(int atom, double neighbours, double cutoff);

// Throws Error where a position is not finite.
void check_positions(int n, const double* positions);

class Cells {
  public:
    // Sorts n atoms for searches up to `cutoff`. Positions may lie outside the cell; rows of
    // `cell` along directions that are not periodic are ignored. Throws Error on positions that
    // are not finite, on periodic vectors that span no volume and, before memory is taken, on
    // atoms that have too many neighbours.
    void build(int n, const double* positions, const double* cell, const int* pbc,
               const int32_t* species, double cutoff);

    int atoms() const { return static_cast<int>(centre_.size()); }
    // Place of the k-th atom (in sorted order) among the sorted points.
    int place(int k) const { return centre_[k]; }
    // Index of the k-th atom as the caller numbers it.
    int original(int k) const { return original_[k]; }
    // The runs that hold all points within the cut-off of the k-th atom.
    void runs(int k, std::vector<Run>& out) const;

    // Sorted points, padded with 16 that are far away: coordinates, the sorted number of the atom
    // they are or are an image of, and its species.
    std::vector<double> x, y, z;
    std::vector<int32_t> owner, species;

  private:
    struct Image {
        double at[3];
        int32_t atom;
    };
    void images(int n, const double* positions, const double* cell, const int* pbc);
    void check_density(int n, const double* height, const int* pbc) const;
    void sort(int n, const int32_t* species);

    double cutoff_ = 0, low_[3], step_[3];
    int count_[3], reach_[3];
    std::vector<Image> points_;
    std::vector<double> fraction_;
    std::vector<int> first_, bin_, centre_, original_, next_, place_, number_;
};

}  // namespace ace
