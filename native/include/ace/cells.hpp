// A cell list: atoms and the periodic images near them, sorted so that the neighbours of an atom
// are a few contiguous runs. The search itself is vectorised, in engine.hpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ace/grid.hpp"

namespace ace {

// Most neighbours of an atom: twice those in ordinary matter within 50 A, or those in matter that is
// compressed ten times within 29 A. More would fill the memory: 0.6 GB a thread at this number.
constexpr size_t most_neighbours = 100000;

// Refuses an atom (or with -1 all of them) with more neighbours.
[[noreturn]] void crowded(int atom, double neighbours, double cutoff);

// Throws Error where a position is not finite.
void check_positions(int n, const double* positions);

struct Lattice;

class Cells {
  public:
    // Sorts n atoms for searches up to `cutoff`. Positions may lie outside the cell; rows of
    // `cell` along directions that are not periodic are ignored. Throws Error on positions that
    // are not finite, on periodic vectors that span no volume and, before memory is taken, on
    // atoms that have too many neighbours. Time and memory are proportional to the number of
    // atoms, wherever these are. Any number of threads gives the same list.
    void build(int n, const double* positions, const double* cell, const int* pbc,
               const int32_t* species, double cutoff, const Team& team = {});

    int atoms() const { return static_cast<int>(centre_.size()); }
    // Place of the k-th atom (in sorted order) among the sorted points.
    int place(int k) const { return centre_[k]; }
    // Index of the k-th atom as the caller numbers it.
    int original(int k) const { return original_[k]; }
    // The runs that hold all points within the cut-off of the k-th atom.
    void runs(int k, std::vector<Run>& out) const;

    // Numbers kept of cells and columns.
    size_t kept() const { return sparse_ ? columns_.kept() : grid_.kept(); }

    // Sorted points, padded with 16 that are far away: coordinates, the sorted number of the atom
    // they are or are an image of, and its species.
    std::vector<double> x, y, z;
    std::vector<int32_t> owner, species;

  private:
    // What a thread finds of its part of the atoms.
    struct Share {
        bool finite;
        double low[3], high[3];    // of the atoms in the cell
        double least[3], most[3];  // of their coordinates in units of the cell
        int atoms;                 // among its part of the sorted points
        std::vector<Image> images;
    };
    Box fold(int n, const double* positions, const Lattice& lattice, const Team& team);
    void check_density(int n, const Lattice& lattice) const;
    void add_images(int n, const Lattice& lattice, const Box& box, const Team& team);
    void number(int n, const int32_t* species, const Team& team);

    double cutoff_ = 0;
    bool sparse_ = false;  // columns, not a grid
    Grid grid_;
    Columns columns_;
    std::vector<Image> points_;  // atoms, then images
    std::vector<Share> shares_;
    std::vector<double> fraction_;
    std::vector<int> order_, centre_, original_, number_;
};

}  // namespace ace
