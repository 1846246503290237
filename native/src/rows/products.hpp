// Products of A's and the sparse sums in them, W atoms across the lanes.
#pragma once
#include "rows/plan.hpp"
#include "rows/vectors.hpp"

namespace ace::ACE_ISA::rows {

inline void multiply(const RowPlan& plan, V* __restrict x) {
    for (const NodeRange& range : plan.ranges) {
        const Node *n = plan.nodes.data() + range.begin, *end = plan.nodes.data() + range.end;
        switch (range.kind) {
            case Node::real:
                for (; n < end; n++) x[n->re] = x[n->a_re] * x[n->b_re];
                break;
            case Node::scaled:
                for (; n < end; n++) {
                    const V c = x[n->b_re];
                    x[n->re] = x[n->a_re] * c;
                    x[n->im] = x[n->a_im] * c;
                }
                break;
            case Node::complex:
                for (; n < end; n++) {
                    const V a = x[n->a_re], b = x[n->a_im], c = x[n->b_re], d = x[n->b_im];
                    x[n->re] = a * c - b * d;
                    x[n->im] = a * d + b * c;
                }
                break;
            case Node::conjugate:
                for (; n < end; n++) {
                    const V a = x[n->a_re], b = x[n->a_im], c = x[n->b_re], d = x[n->b_im];
                    x[n->re] = a * c + b * d;
                    x[n->im] = b * c - a * d;
                }
                break;
            case Node::complex_re:
                for (; n < end; n++) x[n->re] = x[n->a_re] * x[n->b_re] - x[n->a_im] * x[n->b_im];
                break;
            default:
                for (; n < end; n++) x[n->re] = x[n->a_re] * x[n->b_re] + x[n->a_im] * x[n->b_im];
        }
    }
}

ACE_INLINE V sum(const ace::rows::Sums& sums, int row, const V* x) {
    V out = V{};
    for (int e = sums.first[row]; e < sums.first[row + 1]; e++)
        out += sums.coefficient[e] * x[sums.place[e]];
    return out;
}

}  // namespace ace::ACE_ISA::rows
