// The evaluation of several structures by several threads. Included by engine.hpp.
//
// Neighbours lie across the lanes of vectors in the pair stages, atoms in the product stage.
// A batch is W atoms of one species, of any of the structures:
//   geometry   unit vectors and distances, grouped by species, padded to W
//   radial     R and dR/du of all columns from the quintic tables
//   A          sum over neighbours of R Y, tile by tile
//   products   nodes, then the bilinear form; the adjoint of all A's
//   forces     sums over n of a R and a R', tile by tile, then the angular part
#pragma once

// Atoms of a structure whose list all threads build.
constexpr int large_structure = 20000;

template <class T>
class Job {
  public:
    static constexpr int W = Simd<T>::W;
    using S = Simd<T>;
    using V = typename S::V;
    using Work = Workspace<T>;

    explicit Job(const Shared<T>& shared)
        : tables_(shared.tables), centres_(shared.centres), cutoff_(shared.cutoff), pairs_(shared),
          products_(shared), forces_(shared) {}

    void evaluate(const Structure* in, int count, int threads, const Results* out,
                  Threads& pool) {
        size_t points = 0;
        while (pieces_.size() < static_cast<size_t>(count))
            pieces_.push_back(std::make_unique<Piece>());
        count_ = count;
        outputs_ = 0;
        wanted_ = false;
        for (int k = 0; k < count; k++) {
            Piece& piece = *pieces_[k];
            piece.in = in + k;
            piece.out = out + k;
            piece.number = k;
            piece.point = points;
            points += in[k].points;
            outputs_ = std::max(outputs_, out[k].outputs);
            wanted_ = wanted_ || out[k].forces || out[k].virials || out[k].virial;
        }
        points_ = points;
        while (work_.size() < static_cast<size_t>(threads))
            work_.push_back(std::make_unique<Work>());
        // Lists of large structures by all threads, those of the others one for each.
        for (int k = 0; k < count; k++)
            if (shared(in[k], count, threads)) prepare(*pieces_[k], {&pool, threads});
        pool.run(threads, [&](int t) {
            for (int k = t; k < count; k += threads)
                if (!shared(in[k], count, threads)) prepare(*pieces_[k], {});
            work_[t]->forces.zero(points_ * 4 * outputs_);
            work_[t]->virials.zero(static_cast<size_t>(outputs_) * count_ * 9);
        });
        make_batches();
        // Each thread takes one contiguous part of the batches: results do not depend on timing.
        const size_t batches = batches_.size();
        pool.run(threads, [&](int t) {
            for (size_t k = batches * t / threads; k < batches * (t + 1) / threads; k++)
                batch(batches_[k], *work_[t]);
        });
        pool.run(threads, [&](int t) {
            for (int k = 0; k < count; k++) reduce(k, t, threads);
        });
    }

  private:
    struct Member {
        int piece, index;
    };
    struct Batch {
        int species, begin, count;
    };

    static bool shared(const Structure& in, int count, int threads) {
        return threads > 1 && (count == 1 || in.atoms > large_structure);
    }

    void prepare(Piece& piece, const Team& team) {
        const Structure& in = *piece.in;
        for (int i = 0; i < in.points; i++)
            if (in.species[i] < 0 || in.species[i] >= tables_.species)
                throw Error("species: atom # has an unknown species", i);
        if (in.first)
            check_positions(in.points, in.positions);
        else
            piece.cells.build(in.atoms, in.positions, in.cell, in.pbc, in.species,
                              cutoff_, team);
    }

    // Atoms of one species, structure by structure in the order of the cell list, W at a time.
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
            for (int at = begin; at < end; at += W)
                batches_.push_back({s, at, std::min(W, end - at)});
        }
    }

    // Thread t sums its part of the forces of all threads; the first one also the virial.
    void reduce(int k, int t, int threads) {
        const Piece& piece = *pieces_[k];
        const size_t points = piece.in->points;
        for (int o = 0; o < piece.out->outputs; o++) {
            if (piece.out->forces)
                for (size_t p = points * t / threads; p < points * (t + 1) / threads; p++) {
                    double f[3] = {0, 0, 0};
                    for (int u = 0; u < threads; u++) {
                        const double* from =
                            work_[u]->forces.data() + (o * points_ + piece.point + p) * 4;
                        for (int d = 0; d < 3; d++) f[d] += from[d];
                    }
                    double* to = piece.out->forces +
                                 (o * points + piece.original(static_cast<int>(p))) * 3;
                    for (int d = 0; d < 3; d++) to[d] = f[d];
                }
            if (t == 0 && piece.out->virial)
                for (int d = 0; d < 9; d++) {
                    double sum = 0;
                    for (int u = 0; u < threads; u++)
                        sum += work_[u]->virials[(static_cast<size_t>(o) * count_ + k) * 9 + d];
                    piece.out->virial[9 * o + d] = sum;
                }
        }
    }

    void batch(const Batch& b, Work& w) {
        const Centre<T>& c = *centres_[b.species];
        const Plan& plan = c.plan;
        for (int a = 0; a < b.count; a++) {
            w.atoms[a].piece = pieces_[members_[b.begin + a].piece].get();
            w.atoms[a].index = members_[b.begin + a].index;
            geometry<T>(w, tables_.species, cutoff_, plan.columns, w.atoms[a]);
        }
        pairs_.radial(c, w, b.count, outputs_ > 1);
        w.variables.need(plan.variables);
        V* x = w.variables.data();
        pairs_.sums(c, w, b.count, outputs_ > 1, x);
        x[plan.one] = S::set(1);
        nodes_forward(plan, x);
        couple<T>(plan, c.clebsch_gordan.data(), x);
        w.rows.need(plan.kept * tables_.densities);
        w.adjoints.need(plan.variables);
        V* adjoint = w.adjoints.data();
        for (int o = 0; o < outputs_; o++) {
            V rho[most_densities], slope[most_densities] = {};
            if (!tables_.embeddings.present) {
                std::memset(static_cast<void*>(adjoint), 0, sizeof(V) * plan.variables);
                rho[0] = form_linear<T>(plan, c.coefficients[o][0].data(), x, adjoint);
            } else {
                products_.forward(c, o, x, w.rows.data(), rho);
            }
            for (int a = 0; a < b.count; a++) {
                double lane[most_densities] = {}, pull[most_densities] = {};
                for (int p = 0; p < tables_.densities; p++) lane[p] = rho[p][a];
                const double energy = products_.energy(b.species, w.atoms[a], o, lane, pull);
                for (int p = 0; p < tables_.densities; p++) slope[p][a] = static_cast<T>(pull[p]);
                const Piece& piece = *w.atoms[a].piece;
                if (piece.out->energies && o < piece.out->outputs)
                    piece.out->energies[static_cast<size_t>(o) * piece.in->atoms +
                                        piece.original(w.atoms[a].index)] =
                        energy + tables_.e0[b.species];
            }
            if (!wanted_) continue;
            if (tables_.embeddings.present)
                products_.backward(c, o, x, w.rows.data(), adjoint, slope);
            uncouple<T>(plan, c.clebsch_gordan.data(), x, adjoint);
            nodes_backward(plan, x, adjoint);
            forces_.adjoints(c, w, adjoint);
            for (int a = 0; a < b.count; a++)
                if (o < w.atoms[a].piece->out->outputs)
                    forces_.forces(c, w, a, o, slope, points_, count_);
        }
    }

    const Tables& tables_;
    const std::vector<std::unique_ptr<Centre<T>>>& centres_;
    const double cutoff_;
    const PairStage<T> pairs_;
    const ProductStage<T> products_;
    const ForceStage<T> forces_;
    std::vector<std::unique_ptr<Work>> work_;
    std::vector<std::unique_ptr<Piece>> pieces_;
    std::vector<Member> members_;
    std::vector<Batch> batches_;
    int count_ = 0, outputs_ = 0;
    size_t points_ = 0;
    bool wanted_ = false;  // forces or virials
};
