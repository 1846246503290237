#include <algorithm>
#include <cmath>
#include <tuple>

#include "ace/grid.hpp"

namespace ace {
namespace {

// Layers of columns are numbered from 0 along x and y, and kept as one number.
constexpr double most_columns = 1 << 30;
constexpr int64_t row = int64_t(1) << 32;
// A column is cut into cells where these are so many, or fewer, for each point.
constexpr double most_cells = 8;

}  // namespace

void Columns::sort(const Box& box, const std::vector<Image>& points, std::vector<int>& order) {
    for (int d = 0; d < 2; d++)
        step_[d] = std::max(0.6 * box.reach, (box.high[d] - box.low[d]) / most_columns);
    step_[2] = 0.6 * box.reach;
    layers_ = 2;  // of 0.6 of the reach, or of more than it
    limit_ = box.reach * box.reach;
    const auto layer = [&](const Image& p, int d) {
        return static_cast<int64_t>((p.at[d] - box.low[d]) / step_[d]);
    };
    keys_.resize(points.size());
    for (size_t p = 0; p < points.size(); p++)
        keys_[p] = {layer(points[p], 0) * row + layer(points[p], 1), points[p].at[2],
                    static_cast<int>(p)};
    std::sort(keys_.begin(), keys_.end(), [](const Key& a, const Key& b) {
        return std::tie(a.column, a.z, a.point) < std::tie(b.column, b.z, b.point);
    });
    order.resize(points.size());
    home_.resize(points.size());
    columns_.clear();
    for (size_t k = 0; k < keys_.size(); k++) {
        const int64_t key = keys_[k].column;
        if (columns_.empty() || columns_.back().key != key)
            columns_.push_back({key,
                                {box.low[0] + static_cast<double>(key / row) * step_[0],
                                 box.low[1] + static_cast<double>(key % row) * step_[1],
                                 keys_[k].z},
                                static_cast<int>(k), 0, 0});
        home_[k] = static_cast<int>(columns_.size()) - 1;
        order[k] = keys_[k].point;
    }
    find_near();
    columns_.push_back({0, {}, static_cast<int>(points.size()), 0, 0});
    first_.clear();
    for (size_t c = 0; c + 1 < columns_.size(); c++) cut(columns_[c], columns_[c + 1].begin);
}

// Cells of a column whose points end at place `end`.
void Columns::cut(Column& column, int end) {
    const double cells = std::floor((keys_[end - 1].z - column.low[2]) / step_[2]) + 1;
    if (cells > most_cells * (end - column.begin)) return;
    column.cells = static_cast<int>(cells);
    column.first = static_cast<int>(first_.size());
    int place = column.begin;
    for (int c = 0; c < column.cells; c++) {
        first_.push_back(place);
        while (place < end && (keys_[place].z - column.low[2]) / step_[2] < c + 1) place++;
    }
    first_.push_back(end);
}

// Both ends of what is near move on with the column, as columns are in order.
void Columns::find_near() {
    const int count = static_cast<int>(columns_.size()), width = 2 * layers_ + 1;
    near_.resize(static_cast<size_t>(count) * width);
    for (int k = 0; k < width; k++) {
        int begin = 0, end = 0;
        for (int c = 0; c < count; c++) {
            const int64_t middle = columns_[c].key + (k - layers_) * row;
            while (begin < count && columns_[begin].key < middle - layers_) begin++;
            while (end < count && columns_[end].key <= middle + layers_) end++;
            near_[static_cast<size_t>(c) * width + k] = {begin, end};
        }
    }
}

void Columns::runs(int place, const double* at, const std::vector<double>& z,
                   std::vector<Run>& out) const {
    const int width = 2 * layers_ + 1;
    const Run* near = near_.data() + static_cast<size_t>(home_[place]) * width;
    for (int k = 0; k < width; k++)
        for (int c = near[k].begin; c < near[k].end; c++) {
            const Column& column = columns_[c];
            double left = limit_;
            for (int d = 0; d < 2; d++) {
                const double away = std::max({0.0, column.low[d] - at[d],
                                              at[d] - column.low[d] - step_[d]});
                left -= away * away;
            }
            if (left < 0) continue;
            // Too long rather than too short.
            const double half = std::sqrt(left) * 1.000001 + 1e-6;
            const Run run = search(column, columns_[c + 1].begin, at[2], half, z);
            if (run.begin < run.end) out.push_back(run);
        }
}

// The points of a column that are not farther than `half` along z.
Run Columns::search(const Column& column, int end, double at, double half,
                    const std::vector<double>& z) const {
    if (column.cells > 0) {
        const double low = (at - half - column.low[2]) / step_[2];
        const double high = (at + half - column.low[2]) / step_[2];
        if (high < 0 || low >= column.cells) return {0, 0};
        const int* first = first_.data() + column.first;
        return {first[low < 0 ? 0 : static_cast<int>(low)],
                first[high >= column.cells ? column.cells : static_cast<int>(high) + 1]};
    }
    const double *from = z.data() + column.begin, *to = z.data() + end;
    const double* begin = std::lower_bound(from, to, at - half);
    return {static_cast<int>(begin - z.data()),
            static_cast<int>(std::upper_bound(begin, to, at + half) - z.data())};
}

}  // namespace ace
