// A few atoms that are close to each other, with their neighbours in the lanes of vectors.
//
// Each atom that is a neighbour of any of them (a *target*) has one *slot*, and the same lane for
// all of them: so what they do to it is summed up before the force rows are touched. W slots are a
// group. Further periodic images of the targets of a group are further vectors, its layers. Where
// there are fewer targets than lanes, lanes repeat the slots, so that images fill them.
#pragma once
#include <algorithm>
#include <tuple>
#include <vector>

#include "ace/errors.hpp"
#include "engine/search.hpp"
#include "rows/order.hpp"
#include "rows/plan.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

constexpr int tile_sites = W < 4 ? W : 4;

// W targets of one species.
struct Group {
    int species, slot;  // the first
    int span;           // slots in a vector before they repeat
};

// One central atom.
struct Site {
    int place = 0, vectors = 0;
    // Neighbours as they are found.
    std::vector<double> x, y, z, square;
    std::vector<int> target, lane;  // place; the lane among all vectors
    // By group: the first vector; by group and reach: how many.
    std::vector<int> first, layers;
    std::vector<int> species;             // of every vector
    std::vector<std::vector<int>> used;  // by family, all its vectors
    // Of every vector q, all that derivatives are made of, so that it is read in one stretch: the
    // unit vector; Y by lm; R/r and R' by channel.
    Scratch<V> records;
    Scratch<double> kept;     // what the plan keeps of the weights, for terms
    Scratch<double> weights;  // all of them, for entries
    size_t record = 0;        // vectors
    int harmonics = 0;

    V* unit(int q) { return records.data() + q * record; }
    const V* unit(int q) const { return records.data() + q * record; }
    V* radial(int q) { return unit(q) + 3 + harmonics; }
    const V* radial(int q) const { return unit(q) + 3 + harmonics; }
};

// Places of the atoms whose force rows are wanted.
struct Slab {
    int begin, end;
    bool holds(int place) const { return place >= begin && place < end; }
};

class Tile {
  public:
    Site sites[tile_sites];
    int count = 0;
    std::vector<Group> groups;
    std::vector<int> targets;  // by slot; -1: none
    // By group and reach: whether images are many enough to sum dA/dr over them first; whether any
    // are, and whether any are not.
    std::vector<char> summed;
    bool by_entries = false, by_terms = false;

    // Chooses that, by the programs of (species of the neighbours, reach).
    template <class F>
    void choose(int reaches, F&& program) {
        summed.assign(groups.size() * reaches, 0);
        by_entries = by_terms = false;
        for (size_t g = 0; g < groups.size(); g++)
            for (int t = 0; t < reaches; t++) {
                const Program& p = program(groups[g].species, t);
                int here = 0, images = 0;
                for (int n = 0; n < count; n++) {
                    const int layers = sites[n].layers[g * reaches + t];
                    here += layers > 0;
                    images += layers;
                }
                const bool sum = images * double(p.by_terms) >
                                 here * double(p.by_entries) + images * double(p.by_image);
                summed[g * reaches + t] = sum;
                by_entries = by_entries || sum;
                by_terms = by_terms || (images && !sum);
            }
    }

    // Gives slots to all targets, those in the slab first, and lanes to all neighbours.
    // `squares(centre, neighbour)` are the squares of the distances that radial tables end at.
    template <class F>
    void arrange(const Order& order, const Slab& slab, int species, int reaches, F&& squares) {
        find_targets(order, slab, reaches, squares);
        groups.clear();
        targets.clear();
        for (size_t k = 0; k < found_.size();) {
            const int z = found_[k].species;
            size_t end = k;
            while (end < found_.size() && found_[end].species == z) end++;
            int span = W;
            if (end - k < size_t(W))
                for (span = 1; size_t(span) < end - k;) span *= 2;
            for (size_t t = k; t < end; t++) {
                if ((t - k) % W == 0)
                    groups.push_back({z, static_cast<int>(targets.size()), span});
                slot_[found_[t].place] = static_cast<int>(targets.size());
                targets.push_back(found_[t].place);
            }
            while (targets.size() % W) targets.push_back(-1);
            k = end;
        }
        for (int n = 0; n < count; n++) give_lanes(sites[n], order, species, reaches, squares);
    }

  private:
    struct Target {
        int place, species;
        bool inside, near;              // near: in reach of all tables
        int images[tile_sites], most;  // of each site, and the largest number

        // Targets that the same sites have follow each other, so that the lanes of a group are
        // filled or empty together: sets of sites in the order of a Gray code, first by the sites
        // that have most images.
        auto key() const {
            return std::make_tuple(species, !inside, !near, -most, rank(most), rank(1), place);
        }
        int rank(int count) const {
            int sites = 0, found = 0;
            for (int n = 0; n < tile_sites; n++) sites |= int(images[n] >= count) << n;
            for (; sites; sites /= 2) found ^= sites;
            return -found;
        }
    };

    template <class F>
    void find_targets(const Order& order, const Slab& slab, int reaches, F&& squares) {
        slot_.resize(order.atoms(), -1);  // -1 between calls, and the next 0
        images_.resize(order.atoms(), 0);
        for (const int p : targets)
            if (p >= 0 && p < order.atoms()) slot_[p] = -1;
        found_.clear();
        for (int n = 0; n < count; n++) {
            const Site& site = sites[n];
            for (size_t k = 0; k < site.target.size(); k++) {
                const int p = site.target[k], z = order.species[p];
                if (slot_[p] < 0) {
                    slot_[p] = static_cast<int>(found_.size());
                    found_.push_back({p, z, slab.holds(p), false, {}, 0});
                }
                Target& target = found_[slot_[p]];
                target.most = std::max(target.most, ++target.images[n]);
                const double* ends = squares(order.species[site.place], z);
                target.near = target.near || site.square[k] < *std::min_element(ends, ends + reaches);
            }
        }
        std::sort(found_.begin(), found_.end(),
                  [](const Target& a, const Target& b) { return a.key() < b.key(); });
    }

    // Images in reach of all tables come first: others then have fewer layers.
    template <class F>
    void give_lanes(Site& site, const Order& order, int species, int reaches, F&& squares) {
        const size_t count = site.target.size();
        site.lane.resize(count);
        site.layers.assign(groups.size() * reaches, 0);
        for (const bool near : {true, false})
            for (size_t k = 0; k < count; k++) {
                const int p = site.target[k], slot = slot_[p];
                const double* ends = squares(order.species[site.place], order.species[p]);
                if ((site.square[k] < *std::min_element(ends, ends + reaches)) != near) continue;
                const int repeats = W / groups[slot / W].span, image = images_[p]++;
                site.lane[k] = image;
                for (int t = 0; t < reaches; t++)
                    if (site.square[k] < ends[t]) {
                        int& layers = site.layers[slot / W * reaches + t];
                        layers = std::max(layers, image / repeats + 1);
                    }
            }
        for (const int p : site.target) images_[p] = 0;
        give_vectors(site, species, reaches);
        for (size_t k = 0; k < count; k++) {
            const int slot = slot_[site.target[k]], image = site.lane[k];
            const int span = groups[slot / W].span, repeats = W / span;
            site.lane[k] = (site.first[slot / W] + image / repeats) * W + image % repeats * span +
                           slot % W;
        }
    }

    void give_vectors(Site& site, int species, int reaches) const {
        site.vectors = 0;
        site.first.clear();
        site.species.clear();
        site.used.resize(static_cast<size_t>(species) * reaches);
        for (std::vector<int>& used : site.used) used.clear();
        for (size_t g = 0; g < groups.size(); g++) {
            site.first.push_back(site.vectors);
            int most = 0;
            for (int t = 0; t < reaches; t++) {
                const int layers = site.layers[g * reaches + t];
                for (int q = 0; q < layers; q++)
                    site.used[groups[g].species * reaches + t].push_back(site.vectors + q);
                most = std::max(most, layers);
            }
            site.vectors += most;
            site.species.resize(site.vectors, groups[g].species);
        }
    }

    std::vector<Target> found_;
    std::vector<int> slot_, images_;  // by place
};

}  // namespace ace::ACE_ISA::rows
