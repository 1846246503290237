// Random structures, their neighbours by brute force, and what an evaluator says about them.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "ace/evaluator.hpp"

namespace ace::test {

struct Atoms {
    std::vector<double> positions;  // [n][3]
    std::vector<int32_t> species;
    double cell[9] = {};
    int pbc[3] = {0, 0, 0};

    int count() const { return static_cast<int>(species.size()); }
    Structure structure() const;
};

// A pair inside a cut-off: r_j - r_i + S cell.
struct Pair {
    int i, j;
    double vector[3];
    int shift[3];
};

// Every pair and every image nearer than `cutoff`, by looping over all images in reach; sorted
// by i. An atom is no neighbour of itself, its images are.
std::vector<Pair> brute_force(const Atoms& atoms, double cutoff);

// Uniform on [0, 1), the same numbers on every machine.
class Random {
  public:
    explicit Random(uint32_t seed) : engine_(seed) {}
    double operator()() { return engine_() / 4294967296.0; }
    double operator()(double low, double high) { return low + (high - low) * (*this)(); }
    int below(int end) { return static_cast<int>((*this)() * end); }

  private:
    std::mt19937 engine_;
};

// `n` atoms of `kinds` species in a skewed cell of about `size` A along every direction, spread
// over `spread` cells, no two nearer than `shortest`.
Atoms random_atoms(Random& random, int n, int kinds, const int* pbc, double size, double spread,
                   double shortest);

// Structures of every kind of periodicity, tiny cells, atoms outside the cell, one atom.
std::vector<Atoms> zoo(uint32_t seed, int kinds);

struct Answer {
    std::vector<double> energies, forces, virials, centroid_virials;  // as in Results
    double energy(int output, int n) const;         // sum over the atoms
};

Answer evaluate(Evaluator& evaluator, const Atoms& atoms, int threads = 1, int outputs = 1);

// The bytes of a frozen Tables file beside the tests.
std::vector<unsigned char> frozen(const std::string& name);
std::unique_ptr<Evaluator> evaluator(const std::string& name, const std::string& isa);
extern const std::vector<std::string> frozen_names;

}  // namespace ace::test
