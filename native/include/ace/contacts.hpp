// Atoms closer than pairs of kinds may come, in small structures: all pairs are tried, without a
// neighbour list or a model.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ace {

struct Lattice;

class Contacts {
  public:
    // `least`: the distances, [kinds][kinds], symmetric, A; 0: any. Stays the caller's and must
    // outlive this.
    Contacts(int kinds, const double* least) : kinds_(kinds), least_(least) {}

    // Whether two of n atoms, or an atom and an image of it, are closer than they may be. Rows of
    // `cell` repeat along all three directions or along none. Time grows with the square of n.
    // Throws Error on kinds there are not, on positions that are not finite and on vectors that
    // span no volume.
    bool in(int n, const double* positions, const int64_t* kinds, const double* cell,
            bool periodic);

  private:
    void set_kinds(int n, const int64_t* kinds);
    bool nearest(const Lattice& lattice, bool periodic) const;
    bool images(const Lattice& lattice) const;
    double least(size_t i, size_t j) const { return least_[of_[i] * kinds_ + of_[j]]; }

    const int64_t kinds_;
    const double* const least_;
    double largest_ = 0;                 // of the pairs there are
    std::vector<int64_t> of_;           // the kind of each atom
    std::vector<double> squares_;       // of the distances, [n / 2][n]: of i and i + 1, + 2, ...
    std::vector<double> fractions_[3];  // in units of the vectors, twice one after the other
};

}  // namespace ace
