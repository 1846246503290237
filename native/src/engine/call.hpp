// The structures of one call: their neighbour lists, who evaluates which of their atoms, what
// threads sum up for them, and what became of each.
#pragma once
#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "ace/errors.hpp"
#include "ace/evaluator.hpp"
#include "ace/input.hpp"
#include "ace/tables.hpp"
#include "ace/threads.hpp"
#include "engine/division.hpp"
#include "engine/piece.hpp"
#include "engine/simd.hpp"
#include "engine/sums.hpp"

namespace ace::ACE_ISA {

// An atom of a call: its structure, and its number in the order of the cell list.
struct Member {
    int piece, index;
};

// Atoms of one central species, of any of the structures, that are evaluated together.
struct Batch {
    int species, count;
    const Member* members;
    int number = -1;  // among those of its thread; -1: it is a part of one
};

// Strips of a part that is compact: fewer would differ too much in cost.
constexpr int least_strips = 16;

// What an atom of one species costs, and each of its neighbours, in the same unit.
struct Cost {
    double atom, neighbour;
};

// Atoms of a structure whose list all threads make, though there are others.
constexpr int large_structure = 20000;

class Call {
  public:
    // `costs`: of each species with one output, for the division of the work.
    Call(const Tables& tables, double cutoff, int lanes, std::vector<Cost> costs)
        : tables_(tables), cutoff_(cutoff), lanes_(lanes), costs_(std::move(costs)) {}

    // The structures, and how much of the results any of them wants.
    void set(const Structure* in, int count, const Results* out, Watch* watch) {
        while (pieces_.size() < static_cast<size_t>(count))
            pieces_.push_back(std::make_unique<Piece>());
        count_ = count;
        watch_ = watch;
        outputs_ = derived_ = 0;
        wanted_ = failed_ = combined_ = centroids_ = false;
        points_ = atoms_ = 0;
        for (int k = 0; k < count; k++) {
            pieces_[k]->set(in + k, out + k, k, points_, atoms_);
            points_ += in[k].points;
            atoms_ += in[k].atoms;
            outputs_ = std::max(outputs_, out[k].outputs);
            derived_ = std::max(derived_, pieces_[k]->derived());
            combined_ = combined_ || out[k].combined();
            centroids_ = centroids_ || out[k].centroid_virials;
            wanted_ = wanted_ || out[k].forces || out[k].virials || out[k].virial ||
                      out[k].centroid_virials;
        }
    }

    // All threads together make the lists of large structures.
    void list_large(Threads& pool, int threads) {
        for (int k = 0; k < count_ && !stopped(); k++)
            if (is_large(k, threads)) list(*pieces_[k], {&pool, threads});
    }

    // Thread t makes the lists of its other structures, and empties its sums.
    void prepare(int t, int threads, Sums& sums) {
        for (int k = t; k < count_; k += threads) {
            if (stopped()) return;
            if (!is_large(k, threads)) list(*pieces_[k], {});
        }
        if (!wanted_) return;
        sums.centroids = centroids_ ? derived_ : -1;
        sums.forces.open(points_, derived_ + (centroids_ ? 3 : 0), threads);
        sums.virials.zero(static_cast<size_t>(derived_) * count_ * 9);
    }

    // Divides the atoms into parts of about the same cost, one for each thread. They depend on
    // nothing but the structures.
    void divide(int threads, Threads& pool) {
        while (shares_.size() < static_cast<size_t>(threads))
            shares_.push_back(std::make_unique<Share>());
        for (const auto& share : shares_) share->spans.clear();
        if (threads == 1) return shares_[0]->spans.push_back({0, atoms_});
        samples_.resize(atoms_ / lanes_ + 1);
        pool.run(threads, [&](int t) { sample(t, threads); });
        const size_t length = strip_length(threads);
        if (count_ == 1 && !pieces_[0]->in->first && !pieces_[0]->failed_before(0) &&
            atoms_ > length * threads * least_strips)
            divide_compactly(threads, length);
        else
            divide_in_order(threads);
    }

    // Calls visit(batch) for the batches of thread t, until the call is stopped. A visit throws
    // Error, before it has added to anything, if something is wrong with one of its atoms: then
    // their structures fail, and other structures' atoms are visited again without them.
    // `apart`: no batch has atoms of several structures.
    template <class F>
    void each_batch(int t, F&& visit, bool apart = false) {
        Share& share = *shares_[t];
        make_batches(share, apart);
        for (size_t k = 0; k < share.batches.size(); k++) {
            if (stopped()) return;
            const Batch batch = numbered(share, k);
            if (!failed_.load(std::memory_order_relaxed))
                attempt(batch, visit);
            else
                attempt(sound(batch, share.sound), visit);
        }
    }

    // Calls visit(batch) once more for those of the last each_batch, which was `apart`, but not for
    // those of structures that have failed; the last one first, which is still near.
    template <class F>
    void each_again(int t, F&& visit) {
        const Share& share = *shares_[t];
        for (size_t k = share.batches.size(); k-- > 0;) {
            if (stopped()) return;
            const Batch batch = numbered(share, k);
            if (!has_failed(piece(batch.members[0]).number)) visit(batch);
        }
    }

    // Thread t adds up its part of the forces of all threads; the first one also the virials.
    // `sums_of(u)` are those of thread u.
    template <class F>
    void reduce(int t, int threads, F&& sums_of) {
        if (!wanted_) return;
        const size_t pages = (points_ + ForceRows::page_points - 1) / ForceRows::page_points;
        const size_t begin = pages * t / threads * ForceRows::page_points;
        const size_t end = std::min(points_, pages * (t + 1) / threads * ForceRows::page_points);
        for (int k = piece_at(begin, &Piece::point); k < count_; k++) {
            Piece& piece = *pieces_[k];
            if (piece.point >= end) break;
            if (piece.failed_before(0)) continue;
            if (double* to = piece.out->forces)
                for (int o = 0; o < piece.derived(); o++)
                    reduce_rows(piece, o, to + 3 * piece.point_row(o), 3, begin, end, threads, sums_of);
            if (double* to = piece.out->centroid_virials)
                for (int d = 0; d < 3; d++)
                    reduce_rows(piece, derived_ + d, to + 3 * d, 9, begin, end, threads, sums_of);
        }
        if (t == 0)
            for (int k = 0; k < count_; k++)
                if (pieces_[k]->out->virial) reduce_virial(*pieces_[k], threads, sums_of);
    }

    // What went wrong, to the caller's list or, without one, the first of it as an exception.
    // `first` is the number of the first structure in the caller's order.
    void finish(int first, Failures* failures) {
        finish(
            first, failures, [](const Piece& p) { check_results(*p.in, *p.out); },
            [](const Piece& p) { no_results(*p.in, *p.out); });
    }
    // The same of other results: check(piece) throws Error if some are not finite, clear(piece)
    // makes all of them no numbers.
    template <class Check, class Clear>
    void finish(int first, Failures* failures, Check&& check, Clear&& clear) {
        if (watch_) watch_->check();
        for (int k = 0; k < count_; k++) {
            Piece& piece = *pieces_[k];
            if (!piece.error && piece.doubtful.load(std::memory_order_relaxed)) {
                try {
                    check(piece);
                } catch (const Error& error) {
                    fail(piece, INT_MAX - 1, error);
                }
            }
            if (!piece.error) continue;
            clear(piece);
            if (!failures) throw *piece.error;
            failures->add(first + k, *piece.error);
        }
    }

    Piece& piece(const Member& member) { return *pieces_[member.piece]; }
    int structures() const { return count_; }
    bool has_failed(int k) const { return pieces_[k]->failed_before(INT_MAX); }
    int outputs() const { return outputs_; }           // the most that a structure wants
    bool wants_derivatives() const { return wanted_; }  // forces or virials
    bool combined() const { return combined_; }         // these are of one sum of outputs
    bool wants_energies() const {
        for (int k = 0; k < count_; k++)
            if (pieces_[k]->out->energies) return true;
        return false;
    }

    // The weights of outputs that all structures and atoms share, [output]; empty: they differ.
    std::vector<double> shared_weights() const {
        std::vector<double> first;
        for (int k = 0; k < count_; k++) {
            const Piece& piece = *pieces_[k];
            if (!piece.out->weights || piece.out->site_weights) return {};
            if (k > 0 && piece.out->outputs != static_cast<int>(first.size())) return {};
            for (int o = 0; o < piece.out->outputs; o++) {
                const double weight = piece.out->weights[piece.structure_row(o)];
                if (k == 0) first.push_back(weight);
                if (weight != first[o]) return {};
            }
        }
        return first;
    }

  private:
    struct Range {
        int species, begin, count;
    };
    // Atoms of one thread, among those of all structures, and their batches.
    struct Share {
        std::vector<Span> spans;
        std::vector<Member> members;
        std::vector<Range> batches;
        std::vector<Member> sound;
        std::vector<Run> runs;
    };

    bool stopped() { return watch_ && watch_->stop(); }

    // Whether the threads would wait for the one that makes its list.
    bool is_large(int k, int threads) const {
        return threads > 1 && (count_ == 1 || pieces_[k]->in->atoms > large_structure);
    }

    void list(Piece& piece, const Team& team) {
        try {
            make_list(piece, team);
        } catch (const Error& error) {
            fail(piece, -1, error);
        }
    }

    void make_list(Piece& piece, const Team& team) {
        const Structure& in = *piece.in;
        for (int i = 0; i < in.points; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom # has an unknown species", i);
        if (in.first)
            check_positions(in.points, in.positions);
        else
            piece.cells.build(in.atoms, in.positions, in.cell, in.pbc, in.species, cutoff_,
                              team);
    }

    // The structure of the atom or point with this number among those of all.
    int piece_at(size_t number, size_t Piece::*first) const {
        int low = 0, high = count_;
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            ((*pieces_[middle]).*first <= number ? low : high) = middle;
        }
        return low;
    }

    // Calls visit(piece, begin, end) for the structures and the atoms in them that lie between two
    // numbers among the atoms of all; failed ones are left out.
    template <class F>
    void each_part(size_t begin, size_t end, F&& visit) {
        for (int k = piece_at(begin, &Piece::atom); k < count_; k++) {
            Piece& piece = *pieces_[k];
            if (piece.atom >= end) break;
            if (piece.failed_before(0)) continue;
            const size_t from = std::max(begin, piece.atom) - piece.atom;
            const size_t to = std::min<size_t>(end - piece.atom, piece.in->atoms);
            visit(piece, static_cast<int>(from), static_cast<int>(to));
        }
    }

    // Atoms in the order of structures and their cell lists: contiguous parts.
    void divide_in_order(int threads) {
        double total = 0;
        for (double& sample : samples_) sample = total += sample;
        size_t begin = 0;
        for (int t = 0; t < threads; t++) {
            size_t end = atoms_;
            if (t + 1 < threads) {
                const auto at = std::lower_bound(samples_.begin(), samples_.end(),
                                                 total * (t + 1) / threads);
                end = std::min<size_t>((at - samples_.begin()) * lanes_, atoms_);
            }
            shares_[t]->spans.push_back({begin, end});
            begin = end;
        }
    }

    void divide_compactly(int threads, size_t length) {
        const Cells& cells = pieces_[0]->cells;
        strips_.clear();
        for (size_t begin = 0; begin < atoms_; begin += length) {
            const size_t end = std::min(atoms_, begin + length);
            const int middle = cells.place(static_cast<int>((begin + end) / 2));
            double cost = 0;
            for (size_t k = begin; k < end; k += lanes_) cost += samples_[k / lanes_];
            strips_.push_back({{begin, end}, {cells.x[middle], cells.y[middle]}, cost});
        }
        std::vector<std::vector<Span>*> parts;
        for (int t = 0; t < threads; t++) parts.push_back(&shares_[t]->spans);
        halve(strips_.data(), strips_.data() + strips_.size(), parts.data(), threads);
    }

    // Short enough for parts of the same cost, long enough to be few.
    size_t strip_length(int threads) const {
        const size_t most = atoms_ / (static_cast<size_t>(threads) * 128);
        return std::max<size_t>(32, most / 32 * 32);
    }

    // Costs of every so many atoms: neighbours are about as many as points in the cells in reach,
    // which are some three times the ball.
    void sample(int t, int threads) {
        const size_t count = samples_.size(), begin = count * t / threads,
                     end = count * (t + 1) / threads;
        std::fill(samples_.begin() + begin, samples_.begin() + end, 0.0);
        std::vector<Run>& runs = shares_[t]->runs;
        each_part(begin * lanes_, std::min(end * lanes_, atoms_), [&](Piece& piece, int from, int to) {
            const int first = static_cast<int>(piece.atom % lanes_);
            for (int i = from + (lanes_ - (first + from) % lanes_) % lanes_; i < to; i += lanes_) {
                const Cost& cost = costs_[piece.species(i)];
                samples_[(piece.atom + i) / lanes_] = cost.atom + cost.neighbour * near(piece, i, runs);
            }
        });
    }

    double near(const Piece& piece, int i, std::vector<Run>& runs) const {
        if (piece.in->first) return static_cast<double>(piece.in->first[i + 1] - piece.in->first[i]);
        piece.cells.runs(i, runs);
        double points = 0;
        for (const Run& run : runs) points += run.end - run.begin;
        return points / 3;
    }

    static Batch numbered(const Share& share, size_t k) {
        const Range& range = share.batches[k];
        return {range.species, range.count, share.members.data() + range.begin,
                static_cast<int>(k)};
    }

    // Atoms of one species, structure by structure in the order of the cell list, as many at a time
    // as there are lanes.
    void make_batches(Share& share, bool apart) {
        share.batches.clear();
        share.members.clear();
        for (int s = 0; s < tables_.species; s++) {
            const int begin = static_cast<int>(share.members.size());
            for (const Span& span : share.spans)
                each_part(span.begin, span.end, [&](Piece& piece, int from, int to) {
                    for (int i = from; i < to; i++)
                        if (tables_.species == 1 || piece.species(i) == s)
                            share.members.push_back({piece.number, i});
                });
            const int end = static_cast<int>(share.members.size());
            const Member* all = share.members.data();
            for (int at = begin, next; at < end; at = next) {
                next = std::min(at + lanes_, end);
                while (apart && all[next - 1].piece != all[at].piece) next--;
                share.batches.push_back({s, at, next - at});
            }
        }
    }

    template <class F>
    void attempt(const Batch& batch, F&& visit) {
        try {
            if (batch.count > 0) visit(batch);
        } catch (const Error& error) {
            const Member* first = batch.members;
            if (batch.count == 1) return fail(piece(*first), first->index, error);
            for (int a = 0; a < batch.count; a++)
                if (!piece(first[a]).failed_before(first[a].index))
                    attempt(Batch{batch.species, 1, first + a}, visit);
        }
    }

    // A batch without the atoms after the first bad one of a structure. None before it is left out:
    // which atom a failure names does not depend on timing.
    Batch sound(const Batch& batch, std::vector<Member>& kept) {
        kept.clear();
        for (int a = 0; a < batch.count; a++)
            if (!piece(batch.members[a]).failed_before(batch.members[a].index))
                kept.push_back(batch.members[a]);
        const int count = static_cast<int>(kept.size());
        return {batch.species, count, kept.data(), count == batch.count ? batch.number : -1};
    }

    // The first bad atom of a structure, -1 for its list, says what is wrong with it.
    void fail(Piece& piece, int index, const Error& error) {
        const std::lock_guard<std::mutex> guard(failing_);
        if (piece.failed.load(std::memory_order_relaxed) <= index) return;
        piece.failed.store(index, std::memory_order_relaxed);
        piece.error = std::make_unique<Error>(error);
        failed_.store(true, std::memory_order_relaxed);
    }

    // Sums of the rows of one output: three numbers for each point, `apart` from one point to the
    // next, into an array of the structure's.
    template <class F>
    void reduce_rows(Piece& piece, int o, double* to, size_t apart, size_t begin, size_t end,
                     int threads, F&& sums_of) {
        begin = std::max(begin, piece.point);
        end = std::min(end, piece.point + piece.in->points);
        bool finite = true;
        while (begin < end) {
            const size_t page = begin / ForceRows::page_points;
            const size_t page_begin = page * ForceRows::page_points;
            const size_t page_end = std::min(end, page_begin + ForceRows::page_points);
            for (; begin < page_end; begin++) {
                double f[3] = {0, 0, 0};
                for (int u = 0; u < threads; u++)
                    if (const double* rows = sums_of(u).forces.page(page, o))
                        for (int d = 0; d < 3; d++) f[d] += rows[4 * (begin - page_begin) + d];
                double* at = to + piece.original(static_cast<int>(begin - piece.point)) * apart;
                for (int d = 0; d < 3; d++) at[d] = f[d];
                finite = finite && is_finite(f[0]) && is_finite(f[1]) && is_finite(f[2]);
            }
        }
        if (!finite) piece.doubt();
    }

    template <class F>
    void reduce_virial(Piece& piece, int threads, F&& sums_of) {
        for (int o = 0; o < piece.derived(); o++)
            for (int d = 0; d < 9; d++) {
                double sum = 0;
                for (int u = 0; u < threads; u++)
                    sum += sums_of(u).virials[(size_t(o) * count_ + piece.number) * 9 + d];
                piece.out->virial[piece.structure_row(o) * 9 + d] = sum;
                if (!is_finite(sum)) piece.doubt();
            }
    }

    const Tables& tables_;
    const double cutoff_;
    const int lanes_;
    const std::vector<Cost> costs_;
    std::vector<std::unique_ptr<Piece>> pieces_;
    std::vector<std::unique_ptr<Share>> shares_;
    std::vector<double> samples_;
    std::vector<Strip> strips_;
    Watch* watch_ = nullptr;
    int count_ = 0, outputs_ = 0, derived_ = 0;
    size_t points_ = 0, atoms_ = 0;
    bool wanted_ = false, combined_ = false, centroids_ = false;
    std::atomic<bool> failed_{false};
    std::mutex failing_;
};

}  // namespace ace::ACE_ISA
