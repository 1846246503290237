// One structure of a call.
#pragma once
#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "ace/cells.hpp"
#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "engine/isa.hpp"

namespace ace::ACE_ISA {

// Whether a number is finite, and so is the sum of 1e8 of its size: below 2^996, 7e299. In fast
// arithmetic, which takes every number for finite.
inline bool is_finite(double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return (bits >> 52 & 0x7ff) < 0x7e3;
}

// A structure with the neighbours of its atoms at hand. Atoms are numbered in the order of the
// cell list; with a caller's list in the caller's order.
struct Piece {
    const Structure* in = nullptr;
    const Results* out = nullptr;
    int number = 0;             // among the pieces
    size_t point = 0, atom = 0;  // its first point and atom among those of all pieces
    Cells cells;
    // What is wrong with it, and the first atom that said so: -1 its list, INT_MAX none.
    std::unique_ptr<const Error> error;
    std::atomic<int> failed{INT_MAX};
    std::atomic<bool> doubtful{false};  // some result may not be finite

    void set(const Structure* structure, const Results* results, int k, size_t first_point,
             size_t first_atom) {
        in = structure;
        out = results;
        number = k;
        point = first_point;
        atom = first_atom;
        error.reset();
        failed.store(INT_MAX, std::memory_order_relaxed);
        doubtful.store(false, std::memory_order_relaxed);
    }

    int original(int k) const { return in->first ? k : cells.original(k); }
    int species(int k) const { return in->species[original(k)]; }
    // Whether something was wrong before this atom.
    bool failed_before(int k) const { return failed.load(std::memory_order_relaxed) < k; }
    void doubt() { doubtful.store(true, std::memory_order_relaxed); }

    // Of an output in the sum of all, for atom k.
    double weight(int o, int k) const {
        return out->site_weights ? out->site_weights[atom_row(o) + original(k)]
                                 : out->weights[structure_row(o)];
    }
    // Outputs of which there are forces and virials.
    int derived() const { return out->combined() ? 1 : out->outputs; }

    // Where the atoms, points and the structure begin in the arrays of an output.
    size_t atom_row(int o) const { return o * stride(out->atom_stride, in->atoms); }
    size_t point_row(int o) const { return o * stride(out->point_stride, in->points); }
    size_t structure_row(int o) const { return o * stride(out->structure_stride, 1); }

  private:
    static size_t stride(size_t given, int own) {
        return given ? given : static_cast<size_t>(own);
    }
};

}  // namespace ace::ACE_ISA
