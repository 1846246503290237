// What one thread adds to forces and virials.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "engine/simd.hpp"

namespace ace::ACE_ISA {

// Rows of four doubles for the forces on points, of every output. One thread alone has rows for all
// points, in their order. Several have rows for those pages of points that they touch: what
// they add up and the memory for it do not grow with the number of threads.
class ForceRows {
  public:
    static constexpr int page_points = 32;

    ForceRows() = default;
    ForceRows(const ForceRows&) = delete;
    ForceRows& operator=(const ForceRows&) = delete;
    ~ForceRows() { std::free(data_); }

    // Forgets all forces; now there are this many points and outputs, and this many threads with a
    // part of them.
    void open(size_t points, int outputs, int threads) {
        points_ = points;
        outputs_ = outputs;
        paged_ = threads > 1;
        if (!paged_) {
            need(points * outputs);
            if (points) std::memset(data_, 0, points * outputs * row_bytes);
            return;
        }
        used_ = 0;
        need(std::min(points, 4 * points / threads + 16384) * outputs);
        slots_.assign((points + page_points - 1) / page_points, -1);
    }

    // The rows of an output begin here; row_of() counts from it.
    double* rows(int output) { return data_ + 4 * output * (paged_ ? page_points : points_); }

    // The row of a point, for all outputs.
    int32_t row_of(size_t point) {
        if (!paged_) return static_cast<int32_t>(point);
        int32_t& slot = slots_[point / page_points];
        if (slot < 0) slot = take();
        return slot + static_cast<int32_t>(point % page_points);
    }
    // Of `count` points numbered from `first` on.
    void rows_of(size_t first, const int32_t* points, size_t count, int32_t* to) {
        for (size_t k = 0; k < count; k++) to[k] = row_of(first + points[k]);
    }

    bool paged() const { return paged_; }
    // The rows of a page of points for one output; null: none of them was touched.
    const double* page(size_t page, int output) const {
        if (!paged_) return data_ + 4 * (output * points_ + page * page_points);
        return slots_[page] < 0
                   ? nullptr
                   : data_ + 4 * (static_cast<size_t>(slots_[page]) + output * page_points);
    }

  private:
    static constexpr size_t row_bytes = 4 * sizeof(double);

    int32_t take() {
        const size_t rows = static_cast<size_t>(page_points) * outputs_;
        if (used_ + rows > INT32_MAX) throw std::bad_alloc();
        need(used_ + rows);
        std::memset(data_ + 4 * used_, 0, rows * row_bytes);
        used_ += rows;
        return static_cast<int32_t>(used_ - rows);
    }

    // Keeps what there is. Room that is never touched costs no memory.
    void need(size_t rows) {
        if (rows <= capacity_) return;
        void* const grown = std::realloc(data_, (rows + rows / 4) * row_bytes);
        if (!grown) throw std::bad_alloc();
        data_ = static_cast<double*>(grown);
        capacity_ = rows + rows / 4;
    }

    double* data_ = nullptr;
    size_t capacity_ = 0, used_ = 0, points_ = 0;
    int outputs_ = 0;
    bool paged_ = false;
    std::vector<int32_t> slots_;  // of each page: its first row, or -1
};

struct Sums {
    ForceRows forces;
    int centroids = -1;       // the first of three further outputs in `forces`; -1: not wanted
    Scratch<double> virials;  // [output][piece][9]
};

}  // namespace ace::ACE_ISA
