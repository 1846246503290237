// The division of a large structure among threads: compact parts of about the same cost, so that
// few points feel forces of atoms of several threads.
#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

#include "engine/isa.hpp"

namespace ace::ACE_ISA {

// Atoms from one number to another.
struct Span {
    size_t begin, end;
};

// A span of atoms that stay together: consecutive in the cell list, and so near a line along z.
struct Strip {
    Span atoms;
    double at[2];  // x and y of the line
    double cost;
};

// Gives the strips to `count` parts from `part` on, by halving along x or y. Depends on nothing but
// the strips.
inline void halve(Strip* begin, Strip* end, std::vector<Span>* const* part, int count) {
    if (count == 1) {
        std::vector<Span>& spans = **part;
        std::sort(begin, end, [](const Strip& a, const Strip& b) {
            return a.atoms.begin < b.atoms.begin;
        });
        for (const Strip* s = begin; s < end; s++)
            if (!spans.empty() && spans.back().end == s->atoms.begin)
                spans.back().end = s->atoms.end;
            else
                spans.push_back(s->atoms);
        return;
    }
    double low[2] = {1e300, 1e300}, high[2] = {-1e300, -1e300}, total = 0;
    for (const Strip* s = begin; s < end; s++) {
        total += s->cost;
        for (int d = 0; d < 2; d++) {
            low[d] = std::min(low[d], s->at[d]);
            high[d] = std::max(high[d], s->at[d]);
        }
    }
    const int along = high[1] - low[1] > high[0] - low[0];
    std::sort(begin, end, [along](const Strip& a, const Strip& b) {
        return a.at[along] != b.at[along] ? a.at[along] < b.at[along]
                                          : a.atoms.begin < b.atoms.begin;
    });
    const int half = count / 2;
    const double wanted = total * half / count;
    Strip* middle = begin;
    for (double sum = 0; middle < end && sum + middle->cost / 2 < wanted; middle++)
        sum += middle->cost;
    halve(begin, middle, part, half);
    halve(middle, end, part + half, count - half);
}

}  // namespace ace::ACE_ISA
