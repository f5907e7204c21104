// Counting 0/1 matrices with given row and column sums, exactly, by dynamic programming.
#pragma once

#include <cstdint>
#include <vector>

#include "tnm/execution.hpp"
#include "tnm/status.hpp"

namespace tnm {

// The longest side of a matrix whose masks are counted.
inline constexpr int kMaxMarginSide = 128;

// A non-negative integer of any size, least significant 64 bits first, without leading zeros:
// zero is empty.
using BigCount = std::vector<std::uint64_t>;

// The tables that a dynamic program fills. `needed` is set to the bytes that it takes, or to a
// number above `allowed` as soon as that is known; then the call returns Status::table_too_large
// without having started.
struct TableMemory {
    std::uint64_t allowed = 0;
    std::uint64_t needed = 0;
};

// Counts the 0/1 matrices with these row and column sums. Every row sum is in [0, columns], every
// column sum in [0, rows], and both have the same total; else Status::invalid_argument.
Status count_margins(const std::vector<int>& row_sums, const std::vector<int>& column_sums,
                     TableMemory& memory, BigCount& count, const Execution& execution);

// Counts the rows x columns matrices of 0 and 1 with at most n ones in every row and column, n >=
// 0.
Status count_at_most(int rows, int columns, int n, TableMemory& memory, BigCount& count,
                     const Execution& execution);

}  // namespace tnm
