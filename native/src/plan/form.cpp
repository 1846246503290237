#include "plan/form.hpp"

#include <algorithm>
#include <iterator>

namespace ace {
namespace {

std::vector<int> united(const std::vector<int>& a, const std::vector<int>& b) {
    std::vector<int> out;
    std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
    return out;
}

}  // namespace

void Form::add(int width, int row, int column, double scale, const std::vector<double>& weight) {
    std::vector<double>& entry = rows_[width][row][column];
    entry.resize(weight.size());
    for (size_t d = 0; d < weight.size(); d++) entry[d] += scale * weight[d];
}

void Form::write(Plan& plan) const {
    plan.coefficients.resize(outputs_);
    for (const auto& [width, rows] : rows_) {
        std::vector<Candidate> candidates;
        for (const auto& [place, row] : rows) {
            candidates.push_back({place, &row, {}, false});
            for (const auto& [column, weight] : row) candidates.back().columns.push_back(column);
        }
        merge_rows(plan, width, candidates);
    }
}

// Estimated cost of a block, in loads and FMAs of a full vector.
double Form::cost(int width, size_t rows, size_t columns) const {
    const double p = densities_;
    const double entry = 0.5 * (p + 1) * width + 0.85 * p;
    return columns * (rows * entry + width) + 2 * rows * p * width + 20;
}

// Greedily joins rows whose column lists overlap most, up to four, where it pays.
void Form::merge_rows(Plan& plan, int width, std::vector<Candidate>& rows) const {
    std::stable_sort(rows.begin(), rows.end(), [](const Candidate& a, const Candidate& b) {
        return a.columns.size() > b.columns.size();
    });
    std::map<int, std::vector<int>> users;
    for (size_t k = 0; k < rows.size(); k++)
        for (const int c : rows[k].columns) users[c].push_back(static_cast<int>(k));
    const auto most_similar = [&](const std::vector<int>& all) {
        std::map<int, int> overlap;
        for (const int c : all)
            for (const int k : users.at(c))
                if (!rows[k].used) overlap[k]++;
        int best = -1, best_score = -1;
        for (const auto& [k, shared] : overlap) {
            const int score = 2 * shared - static_cast<int>(rows[k].columns.size());
            if (score > best_score) {
                best = k;
                best_score = score;
            }
        }
        return best;
    };
    for (size_t s = 0; s < rows.size(); s++) {
        if (rows[s].used) continue;
        rows[s].used = true;
        std::vector<int> members{static_cast<int>(s)};
        std::vector<int> all = rows[s].columns;
        for (int step = 0; step < 3; step++) {
            const int next = most_similar(all);
            if (next < 0) break;
            rows[next].used = true;
            members.push_back(next);
            all = united(all, rows[next].columns);
        }
        if (members.size() == 3) {
            rows[members.back()].used = false;
            members.pop_back();
            all = united(rows[members[0]].columns, rows[members[1]].columns);
        }
        double apart = 0;
        for (const int k : members) apart += cost(width, 1, rows[k].columns.size());
        if (members.size() > 1 && cost(width, members.size(), all.size()) > apart) {
            for (size_t k = 1; k < members.size(); k++) rows[members[k]].used = false;
            members.resize(1);
            all = rows[s].columns;
        }
        write_block(plan, width, rows, members, all);
    }
}

void Form::write_block(Plan& plan, int width, const std::vector<Candidate>& rows,
                       const std::vector<int>& members, const std::vector<int>& all) const {
    const size_t entries = plan.coefficients[0].size() / densities_;
    plan.blocks.push_back({width, int(members.size()), int(plan.row_places.size()),
                           int(all.size()), int(plan.column_places.size()), entries});
    for (const int k : members) plan.row_places.push_back(rows[k].place);
    for (const int c : all) {
        plan.column_places.push_back(c);
        for (const int k : members) {
            const auto at = rows[k].row->find(c);
            const bool none = at == rows[k].row->end();
            for (int o = 0; o < outputs_; o++)
                for (int d = 0; d < densities_; d++)
                    plan.coefficients[o].push_back(none ? 0.0 : at->second[o * densities_ + d]);
        }
    }
    plan.kept += width * members.size();
}

}  // namespace ace
