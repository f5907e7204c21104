#include "counting/regular/pass_tables.hpp"

#include "counting/regular/modular.hpp"

namespace tnm {
namespace {

double centered(std::uint32_t residue, std::uint32_t prime) {
    return residue > prime / 2 ? static_cast<double>(residue) - prime
                               : static_cast<double>(residue);
}

// Right multisets by size and exponents.
std::vector<std::int64_t> count_rights(const ResidueClass& part, int roots, int columns) {
    std::vector<std::int64_t> counts((columns + 1) * roots);
    counts[0] = 1;
    for (int bin = part.left_bins; bin < roots; ++bin)
        for (int size = 1; size <= columns; ++size)
            for (int e = 0; e < roots; ++e) {
                const int to = (e + part.exponent_of_bin[bin]) % roots;
                counts[size * roots + to] += counts[(size - 1) * roots + e];
            }
    return counts;
}

}  // namespace

PassTables::PassTables(const CountProblem& problem, const ResidueClass& part,
                       const std::uint32_t* primes) {
    lay_out_sizes(problem, part);
    fill_constants(problem, primes);
    pass.columns = problem.margins.columns;
    pass.row_sum = problem.margins.row_sum;
    pass.rows = problem.margins.rows;
    pass.roots = problem.roots;
    pass.left_bins = part.left_bins;
    pass.target = part.target;
    pass.halved = part.halved;
    pass.exponent_of_bin = part.exponent_of_bin.data();
    pass.mirrors_previous = part.mirrors_previous.data();
    pass.of_size = of_size.data();
    pass.first_right = first_right.data();
    pass.prime = prime.data();
    pass.inverse_prime = inverse_prime.data();
    pass.root_powers = root_powers.data();
    pass.inverses = inverses.data();
}

void PassTables::lay_out_sizes(const CountProblem& problem, const ResidueClass& part) {
    const int columns = problem.margins.columns, roots = problem.roots;
    const std::vector<std::int64_t> counts = count_rights(part, roots, columns);
    first_right.push_back(0);
    for (const std::int64_t count : counts) first_right.push_back(first_right.back() + count);
    for (int size = 0; size <= columns; ++size) {
        const Window window = window_of(problem.margins, size);
        of_size.push_back({window.begin, window.length, table_vectors, bucket_vectors});
        const std::int64_t rights = first_right[(size + 1) * roots] - first_right[size * roots];
        table_vectors += rights * window.length;
        bucket_vectors += std::int64_t{roots} * kBucketVectors * window.length;
    }
}

void PassTables::fill_constants(const CountProblem& problem, const std::uint32_t* primes) {
    const int columns = problem.margins.columns, roots = problem.roots;
    root_powers.resize(roots * kGroupPrimes);
    inverses.resize((columns + 1) * kGroupPrimes);
    for (int lane = 0; lane < kGroupPrimes; ++lane) {
        const std::uint32_t p = primes[lane];
        prime.push_back(p);
        inverse_prime.push_back(1.0 / p);
        const std::uint32_t root = root_of_unity(roots, p);
        std::uint32_t power = 1;
        for (int k = 0; k < roots; ++k) {
            root_powers[k * kGroupPrimes + lane] = centered(power, p);
            power = multiply_mod(power, root, p);
        }
        for (int k = 1; k <= columns; ++k)
            inverses[k * kGroupPrimes + lane] =
                centered(inverse_mod(static_cast<std::uint32_t>(k), p), p);
    }
}

}  // namespace tnm
