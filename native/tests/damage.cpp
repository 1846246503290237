// Damaged Tables: an Error, or a model that evaluates; never a crash.
#include <cstring>

#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

using Bytes = std::vector<unsigned char>;

// Reads and evaluates; whether an Error came.
bool refused(const Bytes& bytes) {
    try {
        const auto model =
            make_evaluator(Tables::read(bytes.data(), bytes.size()), best_instruction_set());
        Atoms atoms;
        atoms.positions = {0, 0, 0, 1.7, 0.1, 0, 0, 1.9, 0.3};
        atoms.species = {0, model->tables().species - 1, 0};
        evaluate(*model, atoms);
    } catch (const Error&) {
        return true;
    }
    return false;
}

void a_truncated_file_is_refused() {
    for (const std::string& name : frozen_names) {
        const Bytes whole = frozen(name);
        for (size_t size = 0; size < whole.size(); size += size < 2000 ? 1 : 13)
            // A copy of that size, so that a sanitizer sees reading beyond it.
            demand(refused(Bytes(whole.begin(), whole.begin() + size)),
                   name + ": accepted after " + std::to_string(size) + " bytes");
        Bytes longer = whole;
        longer.push_back(0);
        demand(refused(longer), name + ": accepted with a byte more");
        demand_error([&] { Tables::read(whole.data(), 7); }, "not the byte form");
    }
}

void changed_bytes_are_refused_or_harmless() {
    Random random(61);
    for (const std::string& name : frozen_names) {
        const Bytes whole = frozen(name);
        int count = 0;
        for (int k = 0; k < 3000; k++) {
            Bytes changed = whole;
            for (int b = random.below(3); b >= 0; b--)
                changed[random.below(static_cast<int>(whole.size()))] = random.below(256);
            count += refused(changed);
        }
        demand(count > 100, name + ": only " + std::to_string(count) + " of 3000 refused");
    }
}

// The place of an array's first number in the byte form.
size_t data_of(const Bytes& bytes, const char* name, int dimensions) {
    for (size_t k = 0; k + 24 < bytes.size(); k++)
        if (std::strcmp(reinterpret_cast<const char*>(&bytes[k]), name) == 0)
            return k + 24 + 16 + 8 * dimensions;
    throw std::logic_error(std::string(name) + " is not there");
}

template <class T>
Bytes with(const char* name, int dimensions, int at, T value) {
    Bytes bytes = frozen("linear");
    std::memcpy(&bytes[data_of(bytes, name, dimensions) + at * sizeof(T)], &value, sizeof(T));
    return bytes;
}

void demand_refusal(const Bytes& bytes, const char* part) {
    demand_error(
        [&] {
            make_evaluator(Tables::read(bytes.data(), bytes.size()), best_instruction_set());
        },
        part);
}

void impossible_contents_are_named() {
    demand_refusal(with<double>("cutoff", 2, 0, std::nan("")), "cutoff is not finite");
    demand_refusal(with<double>("cutoff", 2, 0, -1.0), "cut-off");
    demand_refusal(with<double>("radial0.begin", 2, 0, 0.0), "impossible grid");
    demand_refusal(with<double>("radial0.spacing", 2, 0, 1e-9), "impossible grid");
    demand_refusal(with<int32_t>("radial0.bins", 2, 0, 1 << 30), "impossible grid");
    demand_refusal(with<int32_t>("a_species", 1, 0, 2), "one-particle");
    demand_refusal(with<int32_t>("a_channel", 1, 0, -1), "one-particle");
    demand_refusal(with<int32_t>("a_l", 1, 0, 1000), "l from 0");
    demand_refusal(with<int32_t>("products0.factors", 2, 0, 1 << 20), "impossible factor");
    demand_refusal(with<double>("products0.weights", 3, 0, HUGE_VAL), "not finite");
    demand_refusal(with<uint64_t>("products0.weights", 3, -1, 1), "tables");
    demand_refusal(with<uint64_t>("radial0.coefficients", 5, -1, 0), "tables");
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"a truncated file is refused", a_truncated_file_is_refused},
                {"changed bytes are refused or harmless", changed_bytes_are_refused_or_harmless},
                {"impossible contents are named", impossible_contents_are_named}});
}
