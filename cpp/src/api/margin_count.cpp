#include "tnm/margin_count.hpp"

#include <algorithm>
#include <numeric>

#include "counting/margins/count_matrices.hpp"
#include "parallel/guarded.hpp"

namespace tnm {
namespace {

bool are_sums(const std::vector<int>& sums, std::size_t most) {
    return std::all_of(sums.begin(), sums.end(),
                       [&](int sum) { return 0 <= sum && sum <= static_cast<int>(most); });
}

int total(const std::vector<int>& sums) {
    return std::accumulate(sums.begin(), sums.end(), 0);
}

}  // namespace

Status count_margins(const std::vector<int>& row_sums, const std::vector<int>& column_sums,
                     TableMemory& memory, BigCount& count, const Execution& execution) {
    if (row_sums.size() > kMaxMarginSide || column_sums.size() > kMaxMarginSide ||
        !are_sums(row_sums, column_sums.size()) || !are_sums(column_sums, row_sums.size()) ||
        total(row_sums) != total(column_sums))
        return Status::invalid_argument;
    return guarded([&] {
        if (!row_sums.empty() && !column_sums.empty())
            return count_with_sums(row_sums, column_sums, memory, count, execution);
        count = {1};
        return Status::ok;
    });
}

Status count_at_most(int rows, int columns, int n, TableMemory& memory, BigCount& count,
                     const Execution& execution) {
    if (rows < 0 || rows > kMaxMarginSide || columns < 0 || columns > kMaxMarginSide || n < 0)
        return Status::invalid_argument;
    return guarded([&] {
        if (rows > 0 && columns > 0)
            return count_with_bound(rows, columns, n, memory, count, execution);
        count = {1};
        return Status::ok;
    });
}

}  // namespace tnm
