// The force rows of one block of W atoms at a time. Included by rows/engine.hpp.
#pragma once

// Sites whose -dA_v/dr is held at a time.
constexpr int tile_sites = 4;
// How many functions ahead the caller's matrix is asked for: its columns are far apart.
constexpr int ahead = 8;

// A site with neighbours in a block.
struct Work {
    const Site* site;
    Touched touched;
};

// A thread's, for its own blocks: every `threads`-th.
class BlockStage {
  public:
    // Takes down who touches the blocks: batches begin ... end, the first of them finished[0].
    void list(const Shared& shared, const Order& order, const std::vector<Batch>& batches,
              const std::vector<std::unique_ptr<Finished>>& finished, size_t begin, size_t end,
              int t, int threads) {
        families_ = static_cast<int>(shared.families.size());
        keys_ = families_ * shared.tables.species;
        const auto each = [&](const auto& take) {
            for (size_t b = begin; b < end; b++)
                for (int k = 0; k < batches[b].count; k++) {
                    const Site& site = finished[b - begin]->sites[k];
                    for (int f = 0; f < families_; f++)
                        for (const Touched& touched : site.touched[f])
                            if (touched.block % threads == t)
                                take(touched.block * size_t(keys_) +
                                         batches[b].species * families_ + f,
                                     Work{&site, touched});
                }
        };
        first_.assign(order.blocks * size_t(keys_) + 2, 0);
        each([&](size_t key, const Work&) { first_[key + 2]++; });
        for (size_t key = 2; key < first_.size(); key++) first_[key] += first_[key - 1];
        work_.resize(first_.back());
        each([&](size_t key, const Work& work) { work_[first_[key + 1]++] = work; });
    }

    // Whether any listed site touches a block.
    bool touched(int block) const {
        return first_[block * size_t(keys_)] < first_[(block + 1) * size_t(keys_)];
    }

    // [function][xyz], zero.
    V* clear(int functions) { return forces_.zeroed(3 * size_t(functions)); }

    // The forces on the atoms of a batch of the block itself.
    void own(const RowPlan& plan, const Finished& from) {
        const V* own = from.forces.data();
        for (const int k : plan.functions)
            for (int q = 0; q < 3; q++) forces_.data()[3 * size_t(k) + q] += *own++;
    }

    // The forces that all listed sites exert on the block.
    void others(const Shared& shared, int block, int span) {
        for (int key = 0; key < keys_; key++) {
            const size_t place = block * size_t(keys_) + key;
            const Pattern& pattern = shared.plans[key / families_]->patterns[key % families_];
            const Family& family = shared.families[key % families_];
            for (size_t k = first_[place]; k < first_[place + 1]; k += tile_sites) {
                const Work* work = work_.data() + k;
                for (size_t n = k + tile_sites; n < std::min(k + 2 * tile_sites, work_.size()); n++)
                    work_[n].site->prefetch(work_[n].touched);
                switch (first_[place + 1] - k) {
                    case 1: tile<1>(shared.geometry, family, pattern, span, work); break;
                    case 2: tile<2>(shared.geometry, family, pattern, span, work); break;
                    case 3: tile<3>(shared.geometry, family, pattern, span, work); break;
                    default: tile<4>(shared.geometry, family, pattern, span, work);
                }
            }
        }
    }

    // Puts the force rows of a block into a matrix; rows of atom i begin at 3 i.
    template <bool add>
    void write(int functions, const int* atoms, int count, double* rows, size_t stride) const {
        const double* from = reinterpret_cast<const double*>(forces_.data());
        for (int k = 0; k < functions; k++, from += 3 * W, rows += stride)
            for (int q = 0; q < count; q++) {
                double* to = rows + size_t(3) * atoms[q];
                __builtin_prefetch(to + ahead * stride, 1);
                for (int d = 0; d < 3; d++)
                    to[d] = add ? to[d] + from[d * W + q] : from[d * W + q];
            }
    }

  private:
    // Adds -dB_k/dr of the atoms of a block, summed over some sites.
    template <int sites>
    __attribute__((noinline)) void tile(const Geometry& geometry, const Family& family,
                                        const Pattern& pattern, int span, const Work* work) {
        constexpr int size = 3 * sites;
        V* d = tile_.need(static_cast<size_t>(family.columns + pattern.kept) * size);
        SiteWeights<sites> weights;
        for (int s = 0; s < sites; s++) {
            weights.of[s] = work[s].site->weights.data();
            geometry.slopes(*work[s].site, family, work[s].touched, span, d + 3 * s, size);
        }
        walk<sites, 3, size>(pattern, d, weights, ToForces{forces_.data()});
    }

    int families_ = 0, keys_ = 0;  // a key: central species and family
    std::vector<Work> work_;       // by block and key
    std::vector<size_t> first_;    // of each of these
    Buffer<V> tile_;               // -dA_v/dr and kept results, [column][site][xyz]
    Buffer<V> forces_;
};
