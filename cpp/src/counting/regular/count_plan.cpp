#include "counting/regular/count_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "counting/margins/binomials.hpp"
#include "counting/regular/modular.hpp"

namespace tnm {
namespace {

constexpr double kMostTableVectors = 4e6;  // of eight doubles: 256 MB

// log2 of the chance that n tries of chance k / n succeed at least k times.
double log2_at_least_mean(int n, int k) {
    const double chance = static_cast<double>(k) / n;
    double sum = 0;
    for (int i = k; i <= n; ++i)
        sum += std::exp2(log2_binomial(n, i) + i * std::log2(chance) +
                         (n - i) * std::log2(1 - chance));
    return std::log2(std::min(1.0, sum));
}

// Draw the rows independently and uniformly. The column sums are then negatively associated, so the
// chance that all reach c, which means that all equal c, is at most the product of the chances.
double log2_bound_by_rows(const RegularMargins& m) {
    return m.rows * log2_binomial(m.columns, m.row_sum) +
           m.columns * std::min(log2_at_least_mean(m.rows, m.column_sum),
                                log2_at_least_mean(m.rows, m.rows - m.column_sum));
}

RegularMargins transposed(const RegularMargins& m) {
    return {m.columns, m.rows, m.column_sum, m.row_sum};
}

double cost_of_orientation(const RegularMargins& m) {
    const int roots = m.column_sum + 1;
    return multisets(m.columns, roots) * std::gcd(roots, m.columns) / roots;
}

RegularMargins oriented(RegularMargins m) {
    if (2 * m.column_sum > m.rows) {
        m.row_sum = m.columns - m.row_sum;
        m.column_sum = m.rows - m.column_sum;
    }
    const RegularMargins turned = transposed(m);
    return cost_of_orientation(turned) < cost_of_orientation(m) ? turned : m;
}

int multiplications_of_power(int exponent) {
    int count = -2;
    for (; exponent > 0; exponent >>= 1) count += 1 + (exponent & 1);
    return count;
}

// Bins that mirror each other stand together, those that mirror themselves first or last.
void order_bins(ResidueClass& part, int roots, int mirror, bool own_first) {
    std::vector<int> own, paired;
    for (int t = 0; t < roots; ++t) {
        const int image = ((mirror - t) % roots + roots) % roots;
        if (image == t) own.push_back(t);
        if (t < image) paired.insert(paired.end(), {t, image});
    }
    const std::vector<int>& first = own_first ? own : paired;
    const std::vector<int>& last = own_first ? paired : own;
    part.exponent_of_bin = first;
    part.exponent_of_bin.insert(part.exponent_of_bin.end(), last.begin(), last.end());
    part.mirrors_previous.assign(static_cast<std::size_t>(roots), 0);
    const std::size_t begin = own_first ? own.size() : 0;
    for (std::size_t k = 1; k < paired.size(); k += 2) part.mirrors_previous[begin + k] = 1;
}

// About how many vector operations, and how many vectors of table, `left_bins` costs.
void estimate(ResidueClass& part, const RegularMargins& m, int roots) {
    const double share = part.halved ? 0.5 : 1.0;
    const int right_bins = roots - part.left_bins;
    const double power = 4.0 * multiplications_of_power(m.rows);
    part.evaluations = part.operations = part.table_vectors = 0;
    for (int size = 0; size <= m.columns; ++size) {
        const int left_size = m.columns - size;
        const double lefts = share * multisets(left_size, part.left_bins);
        const double rights = multisets(size, right_bins);
        const int length = window_of(m, size).length;
        const double pairs = lefts * rights / roots;
        part.evaluations += pairs;
        part.operations += pairs * (length + power + 6.0);
        part.operations += lefts * (30.0 + 8.0 * length);
        part.operations += rights * (30.0 + 100.0 * length);
        part.table_vectors += rights * (length + 1);
    }
}

bool is_better(const ResidueClass& candidate, const ResidueClass& best) {
    if (best.left_bins == 0) return true;
    const bool fits = candidate.table_vectors <= kMostTableVectors;
    const bool best_fits = best.table_vectors <= kMostTableVectors;
    return fits == best_fits ? candidate.operations < best.operations : fits;
}

// The best of all splits of the bins in this order.
void split_bins(ResidueClass part, const RegularMargins& m, int roots, ResidueClass& best) {
    for (int left = 1; left < roots; ++left) {
        // A bin and its mirror image stay on one side.
        if (part.mirrors_previous[static_cast<std::size_t>(left)]) continue;
        part.left_bins = left;
        estimate(part, m, roots);
        if (is_better(part, best)) best = part;
    }
}

ResidueClass make_class(const RegularMargins& m, int roots, int target, int mirror) {
    ResidueClass part, best;
    part.target = target;
    part.halved = mirror >= 0;
    if (!part.halved) {
        part.exponent_of_bin.resize(static_cast<std::size_t>(roots));
        std::iota(part.exponent_of_bin.begin(), part.exponent_of_bin.end(), 0);
        part.mirrors_previous.assign(static_cast<std::size_t>(roots), 0);
        split_bins(part, m, roots, best);
        return best;
    }
    for (const bool own_first : {true, false}) {
        order_bins(part, roots, mirror, own_first);
        split_bins(part, m, roots, best);
    }
    return best;
}

// The t for which exponents e -> t - e map the class to itself, or -1.
int mirror_of(int roots, int columns, int target) {
    for (int t = 0; t < roots; ++t)
        if ((t * columns - 2 * target) % roots == 0) return t;
    return -1;
}

// Multiplying all roots by one root turns a class into another of the same contribution, so that
// targets matter modulo gcd(roots, columns) alone. If r is half of the columns, taking inverses
// turns target s into -s, and also keeps the contribution.
std::vector<ResidueClass> classes_of(const RegularMargins& m, int roots, int rotation) {
    std::vector<ResidueClass> classes;
    const bool reflects = 2 * m.row_sum == m.columns;
    for (int target = 0; target < rotation; ++target) {
        if (reflects && 2 * target > rotation) break;
        const bool own_image = 2 * target % rotation == 0;
        const int mirror = reflects && own_image ? mirror_of(roots, m.columns, target) : -1;
        classes.push_back(make_class(m, roots, target, mirror));
        classes.back().multiplicity = reflects && !own_image ? 2 : 1;
    }
    return classes;
}

// Sums of so many products of two residues must stay below 2^53, with room for the residues that
// are a little above half the prime.
std::uint32_t prime_limit(const RegularMargins& m) {
    int terms = 5;
    for (int size = 0; size <= m.columns; ++size)
        terms = std::max(terms, window_of(m, size).length);
    return static_cast<std::uint32_t>(std::exp2(27.49) / std::sqrt(terms + 0.5));
}

}  // namespace

double multisets(int size, int bins) {
    if (bins == 0) return size == 0 ? 1.0 : 0.0;
    double count = 1;
    for (int k = 1; k < bins; ++k) count = count * (size + k) / k;
    return count;
}

Window window_of(const RegularMargins& margins, int right_size) {
    const int begin = std::max(0, margins.row_sum - right_size);
    const int end = std::min(margins.columns - right_size, margins.row_sum) + 1;
    return {begin, end - begin};
}

bool are_regular(const RegularMargins& m) {
    const bool sizes =
        m.rows >= 1 && m.columns >= 1 && m.rows <= kLargestMargin && m.columns <= kLargestMargin;
    return sizes && m.row_sum > 0 && m.row_sum < m.columns && m.column_sum > 0 &&
           m.column_sum < m.rows && m.row_sum * m.rows == m.column_sum * m.columns;
}

CountProblem::CountProblem(const RegularMargins& of)
    : asked(of),
      margins(oriented(of)),
      roots(margins.column_sum + 1),
      rotation(std::gcd(roots, margins.columns)),
      classes(classes_of(margins, roots, rotation)) {
    const double bound =
        std::min(log2_bound_by_rows(margins), log2_bound_by_rows(transposed(margins))) -
        log2_binomial(asked.columns, asked.row_sum) -
        log2_binomial(asked.rows - 1, asked.column_sum - 1) + 1e-3;
    plan.bound_bits = std::max(0.0, bound);
    const std::uint32_t limit = prime_limit(margins);
    // The primes are so many and so near the limit that 0.01 bits make up for their distance.
    const double bits = std::log2(limit) - 0.01;
    plan.needed_primes = std::max(1, static_cast<int>(std::ceil(plan.bound_bits / bits)));
    const int groups = (plan.needed_primes + 1 + kGroupPrimes - 1) / kGroupPrimes;
    plan.primes = primes_with_roots(roots, limit, groups * kGroupPrimes);
    plan.classes = static_cast<int>(classes.size());
    for (const ResidueClass& part : classes) {
        plan.evaluations += part.evaluations;
        plan.operations += part.operations;
        plan.table_bytes = std::max(plan.table_bytes, 64.0 * part.table_vectors);
    }
}

}  // namespace tnm
