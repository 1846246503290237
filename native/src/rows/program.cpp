#include "rows/program.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace ace::rows {
namespace {

// Rests of a chunk, unless one group of functions alone has more.
constexpr int enough_rests = 24;

// Of any instruction set.
constexpr int most_lanes = 8;

// Of a rest: m + l, place and coefficient.
using Numbers = std::vector<std::tuple<int, int, double>>;

class Builder {
  public:
    Builder(const Family& family, const std::vector<Derivative>& derivatives, Sums& weights,
            int& kept)
        : derivatives_(derivatives), weights_(weights), kept_(kept), shell_(family.columns) {
        program_.begin = family.begin;
        program_.columns = family.columns;
        program_.lmax = family.lmax;
        for (const Shell& shell : family.shells)
            for (int m = 0; m <= 2 * shell.l; m++) shell_[shell.column + m] = &shell;
    }

    Program run() {
        for (size_t d = 0; d < derivatives_.size(); d++) number_[derivatives_[d].function] = d;
        functions_.resize(derivatives_.size());
        for (size_t d = 0; d < derivatives_.size(); d++) {
            const int parent = derivatives_[d].parent;
            if (parent >= 0) functions_[number_.at(parent)].children.push_back(d);
            find_rests(d);
        }
        std::vector<std::vector<size_t>> groups = connected();
        for (size_t g = 0; g < groups.size();) {
            std::vector<size_t> roots;
            size_t rests = 0;
            do {
                roots.insert(roots.end(), groups[g].begin(), groups[g].end());
                rests += rests_of(groups[g]).size();
                g++;
            } while (g < groups.size() &&
                     rests + rests_of(groups[g]).size() <= enough_rests);
            write_chunk(roots);
        }
        count();
        return std::move(program_);
    }

  private:
    struct Function {
        std::vector<std::pair<int, const Shell*>> terms;  // rests and shells
        std::vector<size_t> children;
    };
    struct Found {
        int l;
        Numbers numbers;
    };

    // Splits what a function is summed of into shells.
    void find_rests(size_t d) {
        std::map<const Shell*, std::map<std::pair<int, int>, double>> by_shell;
        for (const Part& part : derivatives_[d].parts) {
            const Shell* shell = shell_[part.column];
            by_shell[shell][{part.column - shell->column, part.place}] += part.coefficient;
        }
        std::vector<const Shell*> shells;
        for (const auto& [shell, numbers] : by_shell) shells.push_back(shell);
        std::sort(shells.begin(), shells.end(),
                  [](const Shell* a, const Shell* b) { return a->column < b->column; });
        for (const Shell* shell : shells) {
            Numbers numbers;
            for (const auto& [at, c] : by_shell[shell])
                numbers.emplace_back(at.first, at.second, c);
            const auto [at, is_new] =
                known_.try_emplace({shell->l, numbers}, static_cast<int>(rests_.size()));
            if (is_new) rests_.push_back({shell->l, numbers});
            functions_[d].terms.emplace_back(at->second, shell);
        }
        std::stable_partition(functions_[d].terms.begin(), functions_[d].terms.end(),
                              [](const auto& term) { return term.second->l > 0; });
    }

    // Functions that are no product of others, in groups that have no rest in common.
    std::vector<std::vector<size_t>> connected() const {
        std::vector<int> group(rests_.size());
        std::iota(group.begin(), group.end(), 0);
        const auto find = [&](int r) {
            while (group[r] != r) r = group[r] = group[group[r]];
            return r;
        };
        for (const Function& function : functions_)
            for (const auto& [rest, shell] : function.terms)
                group[find(rest)] = find(function.terms[0].first);
        std::map<int, std::vector<size_t>> found;
        for (size_t d = 0; d < functions_.size(); d++)
            if (derivatives_[d].parent < 0)
                found[functions_[d].terms.empty() ? -1 : find(functions_[d].terms[0].first)]
                    .push_back(d);
        std::vector<std::vector<size_t>> out;
        for (auto& [key, roots] : found) out.push_back(std::move(roots));
        return out;
    }

    // Those of some functions, by l.
    std::vector<int> rests_of(const std::vector<size_t>& roots) const {
        std::vector<int> out;
        for (const size_t d : roots)
            for (const auto& [rest, shell] : functions_[d].terms) out.push_back(rest);
        std::sort(out.begin(), out.end(), [&](int a, int b) {
            return std::tie(rests_[a].l, a) < std::tie(rests_[b].l, b);
        });
        out.erase(std::unique(out.begin(), out.end()), out.end());
        return out;
    }

    // Results of one length follow each other: loops of one length are what processors predict.
    void write_chunk(std::vector<size_t>& roots) {
        std::stable_sort(roots.begin(), roots.end(), [&](size_t a, size_t b) {
            const Function &f = functions_[a], &g = functions_[b];
            return std::make_tuple(f.terms.size(), f.children.size()) <
                   std::make_tuple(g.terms.size(), g.children.size());
        });
        Chunk chunk{int(program_.rests.size()), 0, int(program_.results.size()), 0,
                    int(program_.terms.size()), int(program_.entries.size()),
                    int(program_.positions.size())};
        place_.clear();
        for (const int r : rests_of(roots)) {
            place_[r] = static_cast<int>(program_.rests.size()) - chunk.first_rest;
            const Found& rest = rests_[r];
            program_.rests.push_back({rest.l, weights_.size(), kept_});
            kept_ += rest.l ? 3 * (2 * rest.l - 1) : 1;
            size_t at = 0;
            for (int m = 0; m <= 2 * rest.l; m++) {
                for (; at < rest.numbers.size() && std::get<0>(rest.numbers[at]) == m; at++)
                    weights_.add(std::get<1>(rest.numbers[at]), std::get<2>(rest.numbers[at]));
                weights_.end();
            }
        }
        for (const size_t d : roots) write_result(d, 0);
        chunk.end_rest = static_cast<int>(program_.rests.size());
        chunk.end_result = static_cast<int>(program_.results.size());
        while (program_.positions.size() % most_lanes) program_.positions.push_back(-1);
        program_.most_rests = std::max(program_.most_rests, chunk.end_rest - chunk.first_rest);
        program_.chunks.push_back(chunk);
    }

    // A function, then those that are products of it.
    void write_result(size_t d, int depth) {
        const Derivative& from = derivatives_[d];
        const Function& function = functions_[d];
        const bool is_parent = !function.children.empty();
        Result result{from.function, 0, 0, 0, is_parent ? depth : -1,
                      from.parent < 0 ? -1 : depth - 1, -1, from.column, weights_.size(), kept_, 0};
        for (const auto& [rest, shell] : function.terms) {
            (shell->l ? result.terms : result.radial_terms)++;
            write_term(rest, *shell);
            result.entries += 2 * shell->l + 1;
        }
        if (from.parent >= 0) write_weight(from.factor, from.coefficient);
        if (from.column >= 0) {
            result.slope = slope(*shell_[from.column]);
            write_weight(from.value, from.coefficient);
        }
        result.leaves = static_cast<int>(
            std::count_if(function.children.begin(), function.children.end(),
                          [&](size_t c) { return functions_[c].children.empty(); }));
        program_.results.push_back(result);
        program_.positions.push_back(result.function);
        if (!is_parent) return;
        program_.slots = std::max(program_.slots, depth + 1);
        std::vector<size_t> children = function.children;
        std::stable_partition(children.begin(), children.end(),
                              [&](size_t c) { return functions_[c].children.empty(); });
        for (const size_t child : children) write_result(child, depth + 1);
    }

    void write_term(int rest, const Shell& shell) {
        const int number = place_.at(rest);
        const int first = program_.rests[program_.rests.size() - place_.size() + number].weight;
        program_.terms.push_back({number, shell.l ? channel(shell) : -1, slope(shell)});
        for (int m = 0; m <= 2 * shell.l; m++)
            program_.entries.push_back({first + m, shell.column + m});
    }

    int channel(const Shell& shell) {
        const auto [at, is_new] =
            channels_.try_emplace(shell.channel, static_cast<int>(program_.channels.size()));
        if (is_new) program_.channels.push_back(shell.channel);
        return at->second;
    }

    int slope(const Shell& shell) {
        const auto [at, is_new] =
            slopes_.try_emplace(shell.column, static_cast<int>(program_.slopes.size()));
        if (is_new) program_.slopes.push_back({shell.channel, shell.l});
        return at->second;
    }

    // What ways of making the results cost.
    void count() {
        for (const Rest& rest : program_.rests)
            program_.by_terms += rest.l > 1 ? 6 * rest.l : 3 * rest.l;
        for (const Result& r : program_.results) {
            program_.by_terms += 4 * r.terms + r.radial_terms + 3 + 3 * (r.parent >= 0) +
                                 (r.slope >= 0);
            program_.by_entries += 3 * (r.entries + (r.parent >= 0) + (r.slope >= 0));
        }
        program_.by_image = 6 * program_.columns + 10 * (program_.lmax + 1) * (program_.lmax + 1);
    }

    void write_weight(int place, double coefficient) {
        weights_.add(place, coefficient);
        weights_.end();
        kept_++;
    }

    const std::vector<Derivative>& derivatives_;
    Sums& weights_;
    int& kept_;
    std::vector<const Shell*> shell_;  // of every column
    std::map<int, size_t> number_;     // of a function among the derivatives
    std::vector<Function> functions_;  // of each of them
    std::map<std::pair<int, Numbers>, int> known_;
    std::vector<Found> rests_;
    std::map<int, int> place_;         // of the rests of a chunk
    std::map<int, int> channels_, slopes_;  // numbers of them, by channel and by first column
    Program program_;
};

}  // namespace

Program make_program(const Family& family, const std::vector<Derivative>& derivatives,
                     Sums& weights, int& kept) {
    return Builder(family, derivatives, weights, kept).run();
}

}  // namespace ace::rows
