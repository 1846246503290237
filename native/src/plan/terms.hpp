// The products of one central species, each once. Used by plan.cpp only.
#pragma once
#include <map>
#include <vector>

#include "ace/plan.hpp"

namespace ace {

using Key = std::vector<int>;  // sorted one-particle functions

struct Term {
    Key key;
    std::vector<double> weight;  // [output * densities + density]
};

// A channel by its radial table.
struct Channel {
    int table, index;
};
Channel channel_of(const Tables& tables, int channel);

class Terms {
  public:
    explicit Terms(const Tables& tables) : tables_(tables) {}  // none
    Terms(const Tables& tables, int centre);

    std::vector<Term> all;    // without
    std::vector<Fold> folds;  // those of one A with l = 0

    // The key of the complex conjugate, up to parity.
    Key mirror(const Key& key) const;
    Key canonical(const Key& key) const { return std::min(key, mirror(key)); }
    double parity(const Key& key) const;  // (-1)^(sum m)

  private:
    void merge(Term term);

    const Tables& tables_;
    std::map<Key, size_t> index_;
};

}  // namespace ace
