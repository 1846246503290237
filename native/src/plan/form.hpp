// The bilinear form, entry by entry, then as blocks. Used by plan.cpp only.
#pragma once
#include <map>
#include <vector>

#include "ace/plan.hpp"

namespace ace {

class Form {
  public:
    Form(int outputs, int densities) : outputs_(outputs), densities_(densities) {}

    // rho += scale weight x_row . x_column, of `width` consecutive variables each.
    void add(int width, int row, int column, double scale, const std::vector<double>& weight);
    void write(Plan& plan) const;

  private:
    using Row = std::map<int, std::vector<double>>;  // column -> weight
    struct Candidate {
        int place;
        const Row* row;
        std::vector<int> columns;
        bool used = false;
    };

    double cost(int width, size_t rows, size_t columns) const;
    void merge_rows(Plan& plan, int width, std::vector<Candidate>& rows) const;
    void write_block(Plan& plan, int width, const std::vector<Candidate>& rows,
                     const std::vector<int>& members, const std::vector<int>& all) const;

    const int outputs_, densities_;
    std::map<int, std::map<int, Row>> rows_;  // [width][place]
};

}  // namespace ace
