// Points sorted so that those near a place are a few contiguous runs: by a grid of cells where
// atoms fill the box around them, by columns where most of the box is empty.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ace/threads.hpp"

namespace ace {

// Runs of consecutive places in the sorted arrays.
struct Run {
    int begin, end;
};

// An atom or a periodic image of it.
struct Image {
    double at[3];
    int32_t atom;
};

// The threads that build one list: a caller's, or the caller alone.
struct Team {
    Threads* pool = nullptr;
    int threads = 1;

    template <class F>
    void run(F&& work) const {
        if (threads == 1) work(0);
        else pool->run(threads, work);
    }
};

// The t-th of equal parts of 0 ... count begins here.
inline size_t part(size_t count, int t, int parts) { return count * t / parts; }

// Where the points are, and how far a search reaches, rounding of the coordinates included.
struct Box {
    double low[3], high[3], cutoff, reach;
};

class Grid {
  public:
    // Lays the grid out; false where there would be many more cells than points.
    bool lay(const Box& box, size_t points);
    // The number of the point at each place. The same for any number of threads.
    void sort(const std::vector<Image>& points, std::vector<int>& order, const Team& team);
    // Runs that hold all points within reach of a place in the box.
    void runs(const double* at, std::vector<Run>& out) const;
    size_t kept() const { return first_.size(); }

  private:
    void settle(int begin, int end, int place, const int* points, int count,
                std::vector<int>& order);
    void share(std::vector<int>& order, const Team& team);

    double low_[3], step_[3], limit_ = 0;
    int count_[3], reach_[3];
    std::vector<int> first_, bin_, bucketed_, offsets_;
};

// Columns of cells that hold points, each sorted along z: takes memory and time for points alone.
class Columns {
  public:
    void sort(const Box& box, const std::vector<Image>& points, std::vector<int>& order);
    // `place` is that of the point at `at`; z are the coordinates of the sorted points.
    void runs(int place, const double* at, const std::vector<double>& z,
              std::vector<Run>& out) const;
    size_t kept() const { return first_.size() + 2 * near_.size() + home_.size(); }

  private:
    struct Key {
        int64_t column;
        double z;
        int point;
    };
    struct Column {
        int64_t key;
        double low[3];
        int begin;         // its first place
        int cells, first;  // along z, 0 where they would be many more than points; where they are
    };
    void cut(Column& column, int end);
    void find_near();
    Run search(const Column& column, int end, double at, double half,
               const std::vector<double>& z) const;

    int layers_ = 0;  // that a search reaches
    double step_[3], limit_ = 0;
    std::vector<int> first_;       // places of the first points of the cells
    std::vector<Key> keys_;
    std::vector<Column> columns_;  // and one that marks the end
    std::vector<Run> near_;        // columns near each, [column][2 layers + 1]
    std::vector<int> home_;        // the column of each place
};

}  // namespace ace
