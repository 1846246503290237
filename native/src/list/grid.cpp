#include "ace/grid.hpp"

#include <algorithm>
#include <cmath>

namespace ace {
namespace {

// Most layers of cells that a search reaches: the box is at least two reaches wide, so cells are
// at least 0.46 of one.
constexpr int most_reach = 3;
// Parts of the grid that a thread sorts on its own.
constexpr int buckets_of_thread = 8;

}  // namespace

bool Grid::lay(const Box& box, size_t points) {
    // Cells of 0.6 of the reach (measured: 0.5 to 0.75).
    const double edge = 0.6 * box.cutoff;
    double cells = 1;
    for (int d = 0; d < 3; d++) cells *= std::max(1.0, std::ceil((box.high[d] - box.low[d]) / edge));
    if (cells > 8.0 * points + 512 || cells > 2e9) return false;
    for (int d = 0; d < 3; d++) {
        const double size = box.high[d] - box.low[d];
        count_[d] = std::max(1, static_cast<int>(std::ceil(size / edge)));
        step_[d] = size / count_[d];
        reach_[d] = static_cast<int>(std::ceil(box.reach / step_[d]));
        low_[d] = box.low[d];
    }
    limit_ = box.reach * box.reach;
    return true;
}

void Grid::sort(const std::vector<Image>& points, std::vector<int>& order, const Team& team) {
    const double inverse[3] = {1 / step_[0], 1 / step_[1], 1 / step_[2]};
    bin_.resize(points.size());
    order.resize(points.size());
    team.run([&](int t) {
        const size_t end = part(points.size(), t + 1, team.threads);
        for (size_t p = part(points.size(), t, team.threads); p < end; p++) {
            int q[3];
            for (int d = 0; d < 3; d++)
                q[d] = std::min(count_[d] - 1,
                                static_cast<int>((points[p].at[d] - low_[d]) * inverse[d]));
            bin_[p] = (q[0] * count_[1] + q[1]) * count_[2] + q[2];
        }
    });
    const int cells = count_[0] * count_[1] * count_[2];
    first_.resize(static_cast<size_t>(cells) + 1);
    first_[0] = 0;
    if (team.threads == 1)
        settle(0, cells, 0, nullptr, static_cast<int>(points.size()), order);
    else
        share(order, team);
}

// Gives places from `place` on to the points of cells begin ... end: all of them, or those listed.
void Grid::settle(int begin, int end, int place, const int* points, int count,
                  std::vector<int>& order) {
    std::fill(first_.begin() + begin + 1, first_.begin() + end + 1, 0);
    for (int k = 0; k < count; k++) first_[bin_[points ? points[k] : k] + 1]++;
    for (int c = begin; c < end; c++) {
        const int here = first_[c + 1];
        first_[c + 1] = place;
        place += here;
    }
    // Where the next point of a cell goes is, after its last one, where the next cell begins.
    for (int k = 0; k < count; k++) {
        const int p = points ? points[k] : k;
        order[first_[bin_[p] + 1]++] = p;
    }
}

// Threads first put points into buckets of consecutive cells, in order, then sort bucket by bucket.
void Grid::share(std::vector<int>& order, const Team& team) {
    const int threads = team.threads, buckets = buckets_of_thread * threads;
    const int cells = static_cast<int>(first_.size()) - 1, width = (cells + buckets - 1) / buckets;
    const size_t points = bin_.size();
    bucketed_.resize(points);
    offsets_.assign(static_cast<size_t>(threads) * buckets + 1, 0);  // [bucket][thread]
    team.run([&](int t) {
        std::vector<int> found(buckets, 0);
        const size_t end = part(points, t + 1, threads);
        for (size_t p = part(points, t, threads); p < end; p++) found[bin_[p] / width]++;
        for (int b = 0; b < buckets; b++) offsets_[static_cast<size_t>(b) * threads + t] = found[b];
    });
    int total = 0;
    for (int& offset : offsets_) {
        const int here = offset;
        offset = total;
        total += here;
    }
    team.run([&](int t) {
        std::vector<int> next(buckets);
        for (int b = 0; b < buckets; b++) next[b] = offsets_[static_cast<size_t>(b) * threads + t];
        const size_t end = part(points, t + 1, threads);
        for (size_t p = part(points, t, threads); p < end; p++)
            bucketed_[next[bin_[p] / width]++] = static_cast<int>(p);
    });
    team.run([&](int t) {
        for (int b = 0; b < buckets; b++) {
            const int begin = offsets_[static_cast<size_t>(b) * threads];
            const int end = offsets_[static_cast<size_t>(b + 1) * threads];
            // Of a thread with as many points before it as others have.
            const size_t owner = points ? static_cast<size_t>(begin) * threads / points : 0;
            if (static_cast<int>(std::min<size_t>(owner, threads - 1)) != t) continue;
            settle(std::min(cells, b * width), std::min(cells, (b + 1) * width), begin,
                   bucketed_.data() + begin, end - begin, order);
        }
    });
}

void Grid::runs(const double* at, std::vector<Run>& out) const {
    int low[2], high[2];
    double gap[2][2 * most_reach + 1];  // squared distance to each layer of cells
    for (int d = 0; d < 2; d++) {
        const int q = std::min(count_[d] - 1, static_cast<int>((at[d] - low_[d]) / step_[d]));
        low[d] = std::max(0, q - reach_[d]);
        high[d] = std::min(count_[d] - 1, q + reach_[d]);
        for (int c = low[d]; c <= high[d]; c++) {
            const double away = c < q   ? at[d] - (low_[d] + (c + 1) * step_[d])
                                : c > q ? low_[d] + c * step_[d] - at[d]
                                        : 0.0;
            gap[d][c - low[d]] = away * away;
        }
    }
    const double inverse = 1 / step_[2], place = (at[2] - low_[2]) * inverse;
    for (int a = low[0]; a <= high[0]; a++)
        for (int b = low[1]; b <= high[1]; b++) {
            const double left = limit_ - gap[0][a - low[0]] - gap[1][b - low[1]];
            if (left < 0) continue;
            // Half the length of the run in cells, a little too long rather than too short.
            const double half = (std::sqrt(static_cast<float>(left)) * 1.000001 + 1e-6) * inverse;
            const int c0 = std::max(0, static_cast<int>(place - half));
            const int c1 = std::min(count_[2] - 1, static_cast<int>(place + half));
            const int base = (a * count_[1] + b) * count_[2];
            const Run run{first_[base + c0], first_[base + c1 + 1]};
            if (run.begin < run.end) out.push_back(run);
        }
}

}  // namespace ace
