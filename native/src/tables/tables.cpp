#include "ace/tables.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "ace/errors.hpp"
#include "ace/limits.hpp"
#include "tables/checksum.hpp"

namespace ace {
namespace {

// Byte form: "ACETABLE", version, checksum of all that follows it (not in version 1), number of
// arrays; each array: 24 bytes of name, type ('d' or 'i'), number of dimensions (<= 6), dimensions,
// data; all numbers little-endian 64-bit but for int32 data. Everything is bounded by the size of
// the buffer. Version 4 is of bases, tensors and whatever else is no model of true scalars.
constexpr char magic[8] = {'A', 'C', 'E', 'T', 'A', 'B', 'L', 'E'};
constexpr uint64_t version = 3, tensor_version = 4, version_without_checksum = 1;
// Shortest cut-off in A. Files of models hold none below 0.02 A, damaged Tables may.
constexpr double least_cutoff = 0.01;

static_assert(sizeof(double) == 8 && sizeof(int32_t) == 4, "the byte form");
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the byte form is read on little-endian machines only"
#endif

// What evaluators can compile in a few GB: interpolation tables with folded columns in bytes,
// products, and A's of all species. The largest models known need a hundredth of each.
constexpr double most_table_bytes = 4e9, most_products = 5e6, most_components = 2e6;
constexpr int most_functions = 1 << 24, most_outputs = 1024, most_values = 1 << 20;
// Of the tensors that Clebsch-Gordan coefficients are exact for.
constexpr int most_total_l = 30;
// Steps of `spacing` that a table may have.
constexpr double most_cells = 1e6;

struct Array {
    char type = 0;
    std::vector<uint64_t> shape;
    const unsigned char* data = nullptr;
    uint64_t size = 0;
};

class Reader {
  public:
    Reader(const unsigned char* data, size_t size) : at_(data), left_(size) {
        if (size < sizeof magic || std::memcmp(take(sizeof magic), magic, sizeof magic) != 0)
            throw Error("tables: not the byte form of acepot tables");
        const uint64_t found = number();
        if (found != version && found != tensor_version && found != version_without_checksum)
            throw Error("tables: version " + std::to_string(found) + ", this library reads " +
                        std::to_string(version_without_checksum) + ", " + std::to_string(version) +
                        " and " + std::to_string(tensor_version));
        if (found != version_without_checksum && number() != checksum(at_, left_))
            throw Error("tables: damaged (their checksum does not match); copy or export them "
                        "again");
        const uint64_t count = number();
        if (count > 4096) throw Error("tables: too many arrays");
        for (uint64_t k = 0; k < count; k++) one();
        if (left_ != 0) throw Error("tables: bytes after the last array");
    }

    const Array& get(const std::string& name, char type, size_t dimensions) const {
        const auto found = arrays_.find(name);
        if (found == arrays_.end()) throw Error("tables: the array " + name + " is missing");
        if (found->second.type != type || found->second.shape.size() != dimensions)
            throw Error("tables: the array " + name + " has the wrong type or dimensions");
        return found->second;
    }

    bool has(const std::string& name) const { return arrays_.count(name) != 0; }

    std::vector<double> doubles(const std::string& name, size_t dimensions) const {
        const Array& a = get(name, 'd', dimensions);
        std::vector<double> out(a.size);
        if (a.size) std::memcpy(out.data(), a.data, a.size * sizeof(double));
        // Not std::isfinite: this must hold whatever flags a build adds.
        for (const double v : out) {
            uint64_t bits;
            std::memcpy(&bits, &v, sizeof bits);
            if ((bits >> 52 & 0x7ff) == 0x7ff) throw Error("tables: " + name + " is not finite");
        }
        return out;
    }

    std::vector<int32_t> ints(const std::string& name, size_t dimensions) const {
        const Array& a = get(name, 'i', dimensions);
        std::vector<int32_t> out(a.size);
        if (a.size) std::memcpy(out.data(), a.data, a.size * sizeof(int32_t));
        return out;
    }

    int dimension(const std::string& name, char type, size_t dimensions, size_t which) const {
        return static_cast<int>(get(name, type, dimensions).shape[which]);
    }

  private:
    const unsigned char* take(uint64_t bytes) {
        if (bytes > left_) throw Error("tables: truncated");
        const unsigned char* here = at_;
        at_ += bytes;
        left_ -= bytes;
        return here;
    }

    uint64_t number() {
        uint64_t value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }

    void one() {
        const unsigned char* raw = take(24);
        const std::string name(reinterpret_cast<const char*>(raw),
                               strnlen(reinterpret_cast<const char*>(raw), 24));
        Array a;
        const uint64_t type = number(), dimensions = number();
        if ((type != 'd' && type != 'i') || dimensions > 6)
            throw Error("tables: the array " + name + " is described wrongly");
        a.type = static_cast<char>(type);
        const uint64_t item = type == 'd' ? 8 : 4;
        a.size = 1;
        for (uint64_t k = 0; k < dimensions; k++) {
            a.shape.push_back(number());
            if (a.shape.back() > (1u << 30) || (a.shape.back() && a.size > left_ / a.shape.back()))
                throw Error("tables: the array " + name + " is larger than the file");
            a.size *= a.shape.back();
        }
        a.data = take(a.size * item);
        if (!arrays_.emplace(name, a).second) throw Error("tables: " + name + " appears twice");
    }

    const unsigned char* at_;
    uint64_t left_;
    std::map<std::string, Array> arrays_;
};

void require(bool condition, const std::string& what) {
    if (!condition) throw Error("tables: " + what);
}

// Knots ascend from 0 to a whole number.
void read_knots(const Reader& in, const std::string& name, RadialTable& t) {
    t.knots = in.doubles(name + ".knots", 3);
    const auto& shape = in.get(name + ".knots", 'd', 3).shape;
    require(shape[0] * shape[1] == t.begin.size() &&
                shape[2] == static_cast<uint64_t>(t.bins) + 1,
            name + ".knots has a wrong shape");
    for (int p = 0; p < static_cast<int>(t.begin.size()); p++) {
        const double last = t.knot(p, t.count[p]);
        bool good = t.knot(p, 0) == 0 && last <= most_cells && last == std::floor(last);
        for (int b = 0; b < t.count[p]; b++) good = good && t.knot(p, b) < t.knot(p, b + 1);
        require(good, name + " has impossible knots");
    }
}

RadialTable read_radial(const Reader& in, const std::string& name, int species) {
    RadialTable t;
    const size_t pairs = static_cast<size_t>(species) * species;
    t.species = species;
    t.begin = in.doubles(name + ".begin", 2);
    t.spacing = in.doubles(name + ".spacing", 2);
    t.count = in.ints(name + ".bins", 2);
    const std::string c = name + ".coefficients";
    t.coefficients = in.doubles(c, 5);
    const auto& shape = in.get(c, 'd', 5).shape;
    require(shape[0] * shape[1] == pairs && shape[3] == 6 && shape[4] >= 1,
            name + " has a wrong shape");
    t.bins = static_cast<int>(shape[2]);
    t.channels = static_cast<int>(shape[4]);
    t.zero_inside = in.ints(name + ".zero_inside", 2);
    require(t.zero_inside.size() == pairs && t.begin.size() == pairs &&
                t.spacing.size() == pairs && t.count.size() == pairs,
            name + " does not fit the number of species");
    for (size_t p = 0; p < pairs; p++)
        require(t.begin[p] > 0 && t.begin[p] < 100 && t.spacing[p] > 1e-6 && t.spacing[p] < 100 &&
                    t.count[p] >= 1 && t.count[p] <= t.bins && t.begin[p] + t.spacing[p] <= 101,
                name + " has an impossible grid");
    if (in.has(name + ".knots")) read_knots(in, name, t);
    for (size_t p = 0; p < pairs; p++)
        require(t.end(static_cast<int>(p)) <= 101, name + " has an impossible grid");
    return t;
}

void read_functions(const Reader& in, const std::string& name, const Tables& tables, Products& p) {
    p.function = in.ints(name + ".function", 1);
    p.term = in.ints(name + ".term", 1);
    p.coefficient = in.doubles(name + ".real", 1);
    if (tables.tensors) p.imaginary = in.doubles(name + ".imaginary", 1);
    require(p.term.size() == p.function.size() && p.coefficient.size() == p.function.size() &&
                (!tables.tensors || p.imaginary.size() == p.function.size()),
            name + ": function, term, real and imaginary have different lengths");
    for (size_t e = 0; e < p.function.size(); e++)
        require(p.function[e] >= 0 && p.function[e] < tables.functions && p.term[e] >= 0 &&
                    p.term[e] < p.terms,
                name + " has an impossible coefficient");
}

// [output][density][term]; those of imaginary parts may have no densities.
std::vector<double> read_weights(const Reader& in, const std::string& name, const Tables& tables,
                                 int terms, bool or_none) {
    const auto& shape = in.get(name, 'd', 3).shape;
    const uint64_t outputs = tables.outputs, densities = tables.densities;
    const bool none = outputs == 0 || (or_none && shape[1] == 0);
    require(none ? shape[0] * shape[1] * shape[2] == 0
                 : shape[0] == outputs && shape[1] == densities &&
                       shape[2] == static_cast<uint64_t>(terms),
            name + " has a wrong shape");
    return in.doubles(name, 3);
}

Products read_products(const Reader& in, const std::string& name, const Tables& tables) {
    Products p;
    p.factors = in.ints(name + ".factors", 2);
    p.terms = in.dimension(name + ".factors", 'i', 2, 0);
    p.order = in.dimension(name + ".factors", 'i', 2, 1);
    require(p.order <= 6, name + ": orders up to 6 are supported");
    require(p.terms <= most_products, "more than " + std::to_string(int(most_products)) +
                                          " products are not supported");
    p.weights = read_weights(in, name + ".weights", tables, p.terms, false);
    if (tables.tensors)
        p.weights_imaginary = read_weights(in, name + ".w_imaginary", tables, p.terms, true);
    const int padding = static_cast<int>(tables.a_l.size());
    for (int t = 0; t < p.terms; t++) {
        bool ended = false;
        for (int s = 0; s < p.order; s++) {
            const int32_t f = p.factors[static_cast<size_t>(t) * p.order + s];
            require(f >= 0 && f <= padding && !(ended && f < padding),
                    name + " has an impossible factor");
            ended = ended || f == padding;
        }
    }
    if (tables.functions > 0) read_functions(in, name, tables, p);
    return p;
}

// Which L and parities there are of functions and of outputs, and how many.
void read_irreps(const Reader& in, Tables& t) {
    const std::vector<int32_t> irreps = in.ints("irreps", 2), sizes = in.ints("sizes", 1),
                               outputs = in.ints("outputs", 1);
    const size_t count = irreps.size() / 2;
    require(in.dimension("irreps", 'i', 2, 1) == 2 && count >= 1 && count <= 256 &&
                sizes.size() == count && (outputs.empty() || outputs.size() == count),
            "irreps, sizes and outputs do not fit together");
    t.densities = 0;
    for (size_t k = 0; k < count; k++) {
        const int l = irreps[2 * k], parity = irreps[2 * k + 1];
        const int made = outputs.empty() ? 0 : outputs[k];
        require(l >= 0 && l <= most_total_l && (parity == 1 || parity == -1),
                "L from 0 to " + std::to_string(most_total_l) + " and parities 1 and -1 are supported");
        require(sizes[k] >= 0 && sizes[k] <= most_functions && made >= 0 && made <= most_values,
                "impossible number of functions or outputs");
        t.irreps.push_back({l, parity, sizes[k], made});
        require(int64_t(t.functions) + int64_t(sizes[k]) * (2 * l + 1) <= most_functions &&
                    int64_t(t.densities) + int64_t(made) * (2 * l + 1) <= most_values,
                "too many functions or outputs");
        t.functions += sizes[k] * (2 * l + 1);
        t.densities += made * (2 * l + 1);
    }
    t.outputs = outputs.empty() ? 0 : in.dimension("products0.weights", 'd', 3, 0);
    require(t.outputs <= most_outputs && (outputs.empty() || (t.outputs >= 1 && t.densities >= 1)) &&
                int64_t(t.outputs) * t.densities <= most_values,
            "impossible number of members");
    require(!in.has("embedding.weight") && !in.has("core.begin"),
            "only models of true scalars have embeddings and a core");
}

void one_particle(const Reader& in, Tables& t) {
    t.a_species = in.ints("a_species", 1);
    t.a_channel = in.ints("a_channel", 1);
    t.a_l = in.ints("a_l", 1);
    t.a_m = in.ints("a_m", 1);
    const size_t count = t.a_l.size();
    int channels = 0;
    for (const RadialTable& table : t.radial) channels += table.channels;
    require(t.a_species.size() == count && t.a_channel.size() == count && t.a_m.size() == count,
            "the one-particle functions have different lengths");
    for (size_t v = 0; v < count; v++) {
        const int l = t.a_l[v];
        if (l < 0 || l > most_l)
            throw Error("tables: l from 0 to " + std::to_string(most_l) + " is supported, got " +
                        std::to_string(l));
        require(t.a_species[v] >= -1 && t.a_species[v] < t.species && t.a_channel[v] >= 0 &&
                    t.a_channel[v] < channels && t.a_m[v] >= -l && t.a_m[v] <= l,
                "impossible one-particle function");
        // Blocks m = -l ... l stand together.
        require(v >= static_cast<size_t>(t.a_m[v] + l) && v + l - t.a_m[v] < count &&
                    (t.a_m[v] == -l ||
                     (t.a_l[v - 1] == l && t.a_m[v - 1] == t.a_m[v] - 1 &&
                      t.a_channel[v - 1] == t.a_channel[v] && t.a_species[v - 1] == t.a_species[v])),
                "one-particle functions are not in blocks of m");
        t.lmax = std::max(t.lmax, l);
        t.together = t.together || t.a_species[v] < 0;
    }
}

// Beside sums over neighbours of all species those over one species are products by themselves, of
// radial functions of their own.
void check_together(const Tables& t) {
    if (!t.together) return;
    const int padding = static_cast<int>(t.a_l.size());
    std::set<int32_t> channels;
    for (int v = 0; v < padding; v++)
        if (t.a_species[v] < 0) channels.insert(t.a_channel[v]);
    for (const Products& p : t.products)
        for (int k = 0; k < p.terms; k++) {
            const int32_t* factors = &p.factors[size_t(k) * p.order];
            int count = 0;
            bool apart = false;
            for (int s = 0; s < p.order; s++)
                if (factors[s] < padding) {
                    count++;
                    apart = apart || (t.a_species[factors[s]] >= 0);
                }
            require(!apart || (count == 1 && t.a_l[factors[0]] == 0 &&
                               !channels.count(t.a_channel[factors[0]])),
                    "products of sums over neighbours of one species and of all are not supported");
        }
}

// Refuses what would exhaust memory when an evaluator is made of it.
void check_size(const Tables& t) {
    const double folded = t.is_energy() ? double(t.outputs) * t.densities : 0, pairs = double(t.species) * t.species;
    double bytes = 0, products = 0;
    for (const RadialTable& table : t.radial)
        bytes += pairs * table.bins * 6 * sizeof(double) * (table.channels + folded);
    for (const Products& p : t.products) products += p.terms;
    require(bytes <= most_table_bytes, "radial functions, species and outputs would take " +
                                           std::to_string(bytes / 1e9) + " GB");
    require(products <= most_products, "more than " + std::to_string(int(most_products)) +
                                           " products are not supported");
    require(double(t.a_l.size()) * t.species <= most_components,
            "more than " + std::to_string(int(most_components)) +
                " one-particle functions of all species are not supported");
}

Embeddings read_embeddings(const Reader& in, int species, int densities) {
    Embeddings e;
    if (!in.has("embedding.weight")) return e;
    e.present = true;
    e.shifted = in.ints("embedding.shifted", 1);
    e.weight = in.doubles("embedding.weight", 2);
    e.exponent = in.doubles("embedding.exponent", 2);
    e.core_limit = in.doubles("embedding.core_limit", 1);
    e.core_width = in.doubles("embedding.core_width", 1);
    e.inner = in.doubles("embedding.inner", 3);
    const std::vector<int32_t> mode = in.ints("embedding.mode", 1);
    require(mode.size() == 1 && mode[0] >= 0 && mode[0] <= 2, "unknown mode of core repulsion");
    e.mode = mode[0];
    const size_t s = species, p = static_cast<size_t>(species) * densities;
    require(e.shifted.size() == s && e.weight.size() == p && e.exponent.size() == p &&
                e.core_limit.size() == s && e.core_width.size() == s && e.inner.size() == 2 * s * s,
            "the embeddings do not fit the number of species");
    for (const double m : e.exponent) require(m > 0, "an embedding has an exponent <= 0");
    return e;
}

// Models of true scalars.
void read_scalars(const Reader& in, Tables& t) {
    const auto& shape = in.get("products0.weights", 'd', 3).shape;
    require(shape[0] >= 1 && shape[0] <= most_outputs && shape[1] >= 1 && shape[1] <= most_values &&
                shape[0] * shape[1] <= most_values,
            "impossible number of outputs or densities");
    t.outputs = static_cast<int>(shape[0]);
    t.densities = static_cast<int>(shape[1]);
    require(in.has("functions") == in.has("products0.function"),
            "basis functions need both their number and their products");
    if (in.has("functions")) {
        const std::vector<int32_t> functions = in.ints("functions", 1);
        require(functions.size() == 1 && functions[0] > 0 && functions[0] <= most_functions,
                "expected 1 to 2^24 functions");
        t.functions = functions[0];
    }
    t.irreps.push_back({0, 1, t.functions, t.densities});
}

}  // namespace

double RadialTable::knot(int pair, int bin) const {
    return knots.empty() ? bin : knots[static_cast<size_t>(pair) * (bins + 1) + bin];
}

double RadialTable::end(int pair) const {
    return begin[pair] + spacing[pair] * knot(pair, count[pair]);
}

Knots::Knots(const RadialTable& table, int pair) {
    const int bins = table.count[pair];
    if (table.knots.empty()) return;
    for (int b = 0; b <= bins; b++) at.push_back(table.knot(pair, b));
    at.push_back(std::numeric_limits<double>::max());  // finite: engines assume it
    for (int cell = 0, b = 0; cell <= at[bins]; cell++) {
        while (at[b + 1] <= cell) b++;
        first.push_back(b);
    }
}

double Tables::longest_cutoff() const { return *std::max_element(cutoff.begin(), cutoff.end()); }

bool Tables::is_energy() const {
    return !tensors && outputs > 0 && (embeddings.present || densities == 1);
}

int Tables::rows() const { return outputs > 0 ? outputs * densities : functions; }

std::string Tables::description() const {
    std::string names;
    for (const Irrep& irrep : irreps)
        names += (names.empty() ? "" : ", ") + std::to_string(irrep.l) +
                 (irrep.parity > 0 ? "e" : "o");
    if (outputs == 0) return "a basis of " + names;
    return "a model of " + std::to_string(densities) + " values a site, of " + names;
}

Tables Tables::read(const unsigned char* data, size_t size) {
    const Reader in(data, size);
    Tables t;
    t.numbers = in.ints("numbers", 1);
    t.species = static_cast<int>(t.numbers.size());
    require(t.species >= 1 && t.species <= 118, "expected 1 to 118 species");
    t.cutoff = in.doubles("cutoff", 2);
    t.e0 = in.doubles("e0", 1);
    const size_t pairs = static_cast<size_t>(t.species) * t.species;
    require(t.cutoff.size() == pairs && t.e0.size() == t.numbers.size(),
            "cut-offs or E0 do not fit the number of species");
    t.tensors = in.has("irreps");
    // Where there is nothing but constants there is no cut-off; any will do.
    if (in.dimension("a_l", 'i', 1, 0) == 0)
        t.cutoff.assign(t.cutoff.size(), least_cutoff);
    for (const double c : t.cutoff)
        require(c >= least_cutoff && c <= 100, "a cut-off is not from 0.01 to 100 A");
    for (int k = 0; in.has("radial" + std::to_string(k) + ".begin"); k++)
        t.radial.push_back(read_radial(in, "radial" + std::to_string(k), t.species));
    require(t.radial.size() <= 4, "at most four radial tables are supported");
    if (in.has("core.begin")) {
        t.core.push_back(read_radial(in, "core", t.species));
        require(t.core[0].channels == 1, "the core density has one channel");
    }
    one_particle(in, t);
    if (t.tensors) read_irreps(in, t);
    else read_scalars(in, t);
    for (int s = 0; s < t.species; s++)
        t.products.push_back(read_products(in, "products" + std::to_string(s), t));
    t.embeddings = read_embeddings(in, t.species, t.densities);
    require(!t.embeddings.present || t.outputs == 1, "a nonlinear model has no committee");
    check_together(t);
    check_size(t);
    return t;
}

}  // namespace ace
