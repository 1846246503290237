// The structures of one call: their neighbour lists, batches of their atoms, and what threads sum
// up for them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/tables.hpp"
#include "ace/threads.hpp"
#include "engine/search.hpp"
#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// An atom of a call: its structure, and its number in the order of the cell list.
struct Member {
    int piece, index;
};

// Atoms of one central species, of any of the structures, that are evaluated together.
struct Batch {
    int species, count;
    const Member* members;
};

// What one thread adds to forces and virials.
struct Sums {
    Scratch<double> forces;     // [output][point][4]
    Scratch<double> virials;    // [output][piece][9]
    Scratch<double> centroids;  // of the first output, [3][point][4]
};

class Call {
  public:
    Call(const Tables& tables, double cutoff, int lanes)
        : tables_(tables), cutoff_(cutoff), lanes_(lanes) {}

    // The structures, and how much of the results any of them wants.
    void set(const Structure* in, int count, const Results* out) {
        while (pieces_.size() < static_cast<size_t>(count))
            pieces_.push_back(std::make_unique<Piece>());
        count_ = count;
        outputs_ = 0;
        wanted_ = centroids_ = false;
        points_ = 0;
        for (int k = 0; k < count; k++) {
            Piece& piece = *pieces_[k];
            piece.in = in + k;
            piece.out = out + k;
            piece.number = k;
            piece.point = points_;
            points_ += in[k].points;
            outputs_ = std::max(outputs_, out[k].outputs);
            centroids_ = centroids_ || out[k].centroid_virials;
            wanted_ = wanted_ || out[k].forces || out[k].virials || out[k].virial || centroids_;
        }
    }

    // Thread t makes the lists of its structures, and empties its sums.
    void prepare(int t, int threads, Sums& sums) {
        for (int k = t; k < count_; k += threads) prepare(*pieces_[k]);
        sums.forces.zero(points_ * 4 * outputs_);
        sums.virials.zero(static_cast<size_t>(outputs_) * count_ * 9);
        sums.centroids.zero(centroids_ ? points_ * 4 * 3 : 0);
    }

    // Atoms of one species, structure by structure in the order of the cell list, as many at a time
    // as there are lanes.
    void make_batches() {
        batches_.clear();
        members_.clear();
        for (int s = 0; s < tables_.species; s++) {
            const int begin = static_cast<int>(members_.size());
            for (int k = 0; k < count_; k++)
                for (int i = 0; i < pieces_[k]->in->atoms; i++)
                    if (tables_.species == 1 || pieces_[k]->species(i) == s)
                        members_.push_back({k, i});
            const int end = static_cast<int>(members_.size());
            for (int at = begin; at < end; at += lanes_)
                batches_.push_back({s, at, std::min(lanes_, end - at)});
        }
    }

    // Visits the batches of thread t: each has one contiguous part of them, so that results do not
    // depend on timing.
    template <class F>
    void each_batch(int t, int threads, F&& visit) {
        const size_t count = batches_.size();
        for (size_t k = count * t / threads; k < count * (t + 1) / threads; k++) {
            const Range& range = batches_[k];
            visit(Batch{range.species, range.count, members_.data() + range.begin});
        }
    }

    // Thread t adds up its part of the forces of all threads; the first one also the virials.
    // `sums_of(u)` are those of thread u.
    template <class F>
    void reduce(int t, int threads, F&& sums_of) {
        for (int k = 0; k < count_; k++) {
            if (pieces_[k]->out->centroid_virials)
                reduce_centroids(*pieces_[k], t, threads, sums_of);
            for (int o = 0; o < pieces_[k]->out->outputs; o++) {
                if (pieces_[k]->out->forces) reduce_forces(*pieces_[k], o, t, threads, sums_of);
                if (t == 0 && pieces_[k]->out->virial)
                    reduce_virial(*pieces_[k], o, threads, sums_of);
            }
        }
    }

    Piece& piece(const Member& member) { return *pieces_[member.piece]; }
    int structures() const { return count_; }
    size_t points() const { return points_; }
    int outputs() const { return outputs_; }           // the most that a structure wants
    bool wants_derivatives() const { return wanted_; }  // forces or virials

  private:
    struct Range {
        int species, begin, count;
    };

    void prepare(Piece& piece) {
        const Structure& in = *piece.in;
        for (int i = 0; i < in.points; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom # has an unknown species", i);
        if (in.first)
            check_positions(in.points, in.positions);
        else
            piece.cells.build(in.atoms, in.positions, in.cell, in.pbc, in.species, cutoff_);
    }

    template <class F>
    void reduce_forces(const Piece& piece, int o, int t, int threads, F&& sums_of) {
        const size_t points = piece.in->points;
        for (size_t p = points * t / threads; p < points * (t + 1) / threads; p++) {
            double f[3] = {0, 0, 0};
            for (int u = 0; u < threads; u++) {
                const double* from = &sums_of(u).forces[(o * points_ + piece.point + p) * 4];
                for (int d = 0; d < 3; d++) f[d] += from[d];
            }
            double* to =
                piece.out->forces + (o * points + piece.original(static_cast<int>(p))) * 3;
            for (int d = 0; d < 3; d++) to[d] = f[d];
        }
    }

    template <class F>
    void reduce_centroids(const Piece& piece, int t, int threads, F&& sums_of) {
        const size_t points = piece.in->points;
        for (size_t p = points * t / threads; p < points * (t + 1) / threads; p++)
            for (int d = 0; d < 9; d++) {
                double sum = 0;
                for (int u = 0; u < threads; u++)
                    sum += sums_of(u).centroids[(d / 3 * points_ + piece.point + p) * 4 + d % 3];
                const size_t to = piece.original(static_cast<int>(p));
                piece.out->centroid_virials[9 * to + d] = sum;
            }
    }

    template <class F>
    void reduce_virial(const Piece& piece, int o, int threads, F&& sums_of) {
        for (int d = 0; d < 9; d++) {
            double sum = 0;
            for (int u = 0; u < threads; u++)
                sum += sums_of(u).virials[(static_cast<size_t>(o) * count_ + piece.number) * 9 + d];
            piece.out->virial[9 * o + d] = sum;
        }
    }

    const Tables& tables_;
    const double cutoff_;
    const int lanes_;
    std::vector<std::unique_ptr<Piece>> pieces_;
    std::vector<Member> members_;
    std::vector<Range> batches_;
    int count_ = 0, outputs_ = 0;
    size_t points_ = 0;
    bool wanted_ = false, centroids_ = false;
};

}  // namespace ace::ACE_ISA
