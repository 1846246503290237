// Damaged Tables: an Error, or a model that evaluates; never a crash.
#include <cstring>
#include <map>

#include "atoms.hpp"
#include "cases.hpp"

namespace ace::test {
namespace {

using Bytes = std::vector<unsigned char>;

// Those of energies, and tensors.
const std::vector<std::string> damaged_names{"linear", "density", "distance", "zbl", "tensors"};

// The verbs of site values, and energies where there are any.
void all_verbs(Evaluator& model, const Atoms& atoms) {
    const size_t n = atoms.species.size();
    std::vector<double> values(n * model.tables().rows()), forces(3 * n), virials(9 * n);
    const Structure in = atoms.structure();
    double* const to = values.data();
    const double* const from = values.data();
    const Motion motion{atoms.positions.data(), nullptr};
    const Results out{1, nullptr, forces.data(), virials.data()};
    model.values(&in, 1, &to, {});
    model.pullback(&in, 1, &from, &out, {});
    model.jvp(&in, 1, &motion, &to, {});
    if (model.tables().is_energy()) evaluate(model, atoms);
}

// Reads and evaluates; whether an Error came.
bool refused(const Bytes& bytes) {
    try {
        const auto model =
            make_evaluator(Tables::read(bytes.data(), bytes.size()), best_instruction_set());
        Atoms atoms;
        atoms.positions = {0, 0, 0, 1.7, 0.1, 0, 0, 1.9, 0.3};
        atoms.species = {0, model->tables().species - 1, 0};
        all_verbs(*model, atoms);
    } catch (const Error&) {
        return true;
    }
    return false;
}

void a_truncated_file_is_refused() {
    for (const std::string& name : damaged_names) {
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
    for (const std::string& name : damaged_names) {
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
    demand_refusal(with<double>("cutoff", 2, 0, 5e-324), "a cut-off is not from 0.01 to 100 A");
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

struct Array {
    uint64_t type;
    std::vector<uint64_t> shape;
    Bytes data;
};
using Arrays = std::map<std::string, Array>;

// The arrays of the byte form, which must be whole, and the byte form of arrays.
Arrays unpacked(const Bytes& bytes) {
    Arrays arrays;
    size_t at = 24;
    const auto number = [&] {
        uint64_t value;
        std::memcpy(&value, &bytes[at], 8);
        at += 8;
        return value;
    };
    while (at < bytes.size()) {
        const std::string name(reinterpret_cast<const char*>(&bytes[at]));
        at += 24;
        Array& a = arrays[name];
        a.type = number();
        a.shape.resize(number());
        size_t size = a.type == 'd' ? 8 : 4;
        for (uint64_t& n : a.shape) size *= n = number();
        a.data.assign(bytes.begin() + at, bytes.begin() + at + size);
        at += size;
    }
    return arrays;
}

Bytes packed(const Arrays& arrays) {
    const Bytes start = frozen("linear");
    Bytes out(start.begin(), start.begin() + 16);
    const auto number = [&](uint64_t value) {
        out.insert(out.end(), reinterpret_cast<unsigned char*>(&value),
                   reinterpret_cast<unsigned char*>(&value) + 8);
    };
    number(arrays.size());
    for (const auto& [name, a] : arrays) {
        Bytes padded(name.begin(), name.end());
        padded.resize(24);
        out.insert(out.end(), padded.begin(), padded.end());
        number(a.type);
        number(a.shape.size());
        for (const uint64_t n : a.shape) number(n);
        out.insert(out.end(), a.data.begin(), a.data.end());
    }
    return out;
}

void the_order_of_arrays_does_not_matter() {
    for (const std::string& name : damaged_names)
        demand(!refused(packed(unpacked(frozen(name)))), name + ": refused in another order");
}

void missing_and_foreign_arrays() {
    for (const std::string& name : damaged_names)
        for (const auto& [array, contents] : unpacked(frozen(name))) {
            Arrays fewer = unpacked(frozen(name));
            fewer.erase(array);
            const bool optional = array == "embedding.weight" || array.rfind("core.", 0) == 0 ||
                                  array.rfind("radial1.", 0) == 0 || array == "irreps";
            const bool bad = refused(packed(fewer));
            demand(bad || optional, name + ": accepted without " + array);
        }
}

void what_would_exhaust_memory_is_refused() {
    Arrays arrays = unpacked(frozen("linear"));
    Array &factors = arrays.at("products0.factors"), &weights = arrays.at("products0.weights");
    const uint64_t terms = 5'000'001, outputs = weights.shape[0];
    factors.shape = {terms, 1};
    factors.data.assign(4 * terms, 0);
    weights.shape = {outputs, 1, terms};
    weights.data.assign(8 * outputs * terms, 0);
    demand_refusal(packed(arrays), "more than 5000000 products");
    arrays = unpacked(frozen("linear"));
    Array& coefficients = arrays.at("radial0.coefficients");
    coefficients.shape[4] = 0;
    coefficients.data.clear();
    demand_refusal(packed(arrays), "radial0 has a wrong shape");
}

// The form with a checksum, which is computed bit by bit.
Bytes sealed(const Bytes& bytes) {
    uint32_t r = 0xFFFFFFFFu;
    for (size_t k = 16; k < bytes.size(); k++) {
        r ^= bytes[k];
        for (int bit = 0; bit < 8; bit++) r = r & 1 ? r >> 1 ^ 0xEDB88320u : r >> 1;
    }
    Bytes out(bytes.begin(), bytes.begin() + 16);
    out[8] = 3;
    const uint64_t sum = ~r;
    out.insert(out.end(), reinterpret_cast<const unsigned char*>(&sum),
               reinterpret_cast<const unsigned char*>(&sum) + 8);
    out.insert(out.end(), bytes.begin() + 16, bytes.end());
    return out;
}

void a_checksum_sees_every_changed_bit() {
    for (const std::string& name : damaged_names) {
        const Bytes whole = sealed(frozen(name));
        demand(!refused(whole), name + ": refused with a checksum");
        for (size_t k = 16; k < whole.size(); k++) {
            Bytes changed = whole;
            changed[k] ^= 1 << k % 8;
            demand_error([&] { Tables::read(changed.data(), changed.size()); }, "damaged");
        }
    }
}

// Knots of every bin of radial0, all of the same length but for pair 0, whose first one is
// shorter and the second longer.
Arrays with_knots(double moved) {
    Arrays arrays = unpacked(frozen("linear"));
    const Array &bins = arrays.at("radial0.bins"), &c = arrays.at("radial0.coefficients");
    const uint64_t most = c.shape[2], pairs = bins.data.size() / sizeof(int32_t);
    std::vector<double> knots;
    for (uint64_t p = 0; p < pairs; p++)
        for (uint64_t b = 0; b <= most; b++) knots.push_back(double(b) + (p == 0 && b == 1) * moved);
    Array& a = arrays["radial0.knots"];
    a.type = 'd';
    a.shape = {bins.shape[0], bins.shape[1], most + 1};
    a.data.resize(knots.size() * sizeof(double));
    std::memcpy(a.data.data(), knots.data(), a.data.size());
    return arrays;
}

std::vector<double> forces_of(const Bytes& bytes) {
    const auto model =
        make_evaluator(Tables::read(bytes.data(), bytes.size()), best_instruction_set());
    Atoms atoms;
    atoms.positions = {0, 0, 0, 1.7, 0.1, 0, 0, 1.9, 0.3, 1.1, 1.2, 1.3};
    atoms.species = {0, 1, 0, 1};
    return evaluate(*model, atoms).forces;
}

void knots_say_where_bins_begin() {
    const std::vector<double> even = forces_of(frozen("linear"));
    const std::vector<double> given = forces_of(packed(with_knots(0)));
    for (size_t k = 0; k < even.size(); k++)
        demand_near(given[k], even[k], 1e-12, "forces with knots where bins begin anyway");
    demand(!refused(packed(with_knots(0.5))), "refused with a longer bin");
    demand_refusal(packed(with_knots(1.0)), "radial0 has impossible knots");
    demand_refusal(packed(with_knots(-1.0)), "radial0 has impossible knots");
    demand_refusal(packed(with_knots(std::nan(""))), "knots is not finite");
    Arrays arrays = with_knots(0);
    Array& a = arrays.at("radial0.knots");
    const double far = 1e7;
    for (size_t p = 0; p < a.shape[0] * a.shape[1]; p++)
        for (uint64_t b = a.shape[2] - 1; b < a.shape[2]; b++)
            std::memcpy(&a.data[(p * a.shape[2] + b) * sizeof(double)], &far, sizeof far);
    demand(refused(packed(arrays)), "accepted with ten million steps");
    a.shape[2] -= 1;
    a.data.resize(a.shape[0] * a.shape[1] * a.shape[2] * sizeof(double));
    demand_refusal(packed(arrays), "radial0.knots has a wrong shape");
}

}  // namespace
}  // namespace ace::test

int main() {
    using namespace ace::test;
    return run({{"a truncated file is refused", a_truncated_file_is_refused},
                {"changed bytes are refused or harmless", changed_bytes_are_refused_or_harmless},
                {"impossible contents are named", impossible_contents_are_named},
                {"the order of arrays does not matter", the_order_of_arrays_does_not_matter},
                {"missing and foreign arrays", missing_and_foreign_arrays},
                {"a checksum sees every changed bit", a_checksum_sees_every_changed_bit},
                {"knots say where bins begin", knots_say_where_bins_begin},
                {"what would exhaust memory is refused", what_would_exhaust_memory_is_refused}});
}
