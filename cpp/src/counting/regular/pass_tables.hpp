// The constants and the layout of one pass: what is known of it before any work.
#pragma once

#include <cstdint>
#include <vector>

#include "counting/regular/count_pass.hpp"
#include "counting/regular/count_plan.hpp"

namespace tnm {

// Everything that a CountPass points to.
struct PassTables {
    std::vector<RightSize> of_size;
    std::vector<std::int64_t> first_right;
    std::int64_t table_vectors = 0, bucket_vectors = 0;
    std::vector<double> prime, inverse_prime, root_powers, inverses;
    CountPass pass;

    PassTables(const CountProblem& problem, const ResidueClass& part, const std::uint32_t* primes);

  private:
    void lay_out_sizes(const CountProblem& problem, const ResidueClass& part);
    void fill_constants(const CountProblem& problem, const std::uint32_t* primes);
};

}  // namespace tnm
