// Any bytes are row and column sums: the dynamic program, a naive recursion and the sum over roots
// of unity count the same matrices.
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "reader.hpp"
#include "tnm/counting/margin_count.hpp"
#include "tnm/counting/regular_count.hpp"

namespace tnm::test {
namespace {

using Sums = std::vector<int>;

// Row by row, all subsets of columns; few enough that a word holds the count.
class NaiveCount {
  public:
    explicit NaiveCount(Sums rows) : rows_(std::move(rows)) {}

    std::uint64_t operator()(const Sums& columns, std::size_t row = 0) {
        if (row == rows_.size()) {
            for (const int sum : columns)
                if (sum != 0) return 0;
            return 1;
        }
        const auto known = counts_.find({row, columns});
        if (known != counts_.end()) return known->second;
        std::uint64_t count = 0;
        for (unsigned subset = 0; subset < 1U << columns.size(); ++subset) {
            Sums rest = columns;
            int kept = 0;
            bool possible = true;
            for (std::size_t j = 0; j < rest.size(); ++j)
                if (subset >> j & 1) {
                    ++kept;
                    possible &= --rest[j] >= 0;
                }
            if (possible && kept == rows_[row]) count += (*this)(rest, row + 1);
        }
        return counts_[{row, columns}] = count;
    }

  private:
    const Sums rows_;
    std::map<std::pair<std::size_t, Sums>, std::uint64_t> counts_;
};

std::uint64_t value_of(const BigCount& count) {
    TNM_CHECK(count.size() <= 1);
    return count.empty() ? 0 : count[0];
}

void check_margins(const Sums& rows, const Sums& columns, const Execution& execution) {
    const auto total = [](const Sums& sums) {
        return std::accumulate(sums.begin(), sums.end(), 0);
    };
    const auto fits = [](const Sums& sums, std::size_t most) {
        return std::all_of(sums.begin(), sums.end(),
                           [&](int sum) { return sum >= 0 && sum <= static_cast<int>(most); });
    };
    const bool valid =
        total(rows) == total(columns) && fits(rows, columns.size()) && fits(columns, rows.size());
    TableMemory memory{1U << 20, 0};
    BigCount count;
    const Status status = count_margins(rows, columns, memory, count, execution);
    TNM_CHECK(status == (valid ? Status::ok : Status::invalid_argument));
    if (valid) TNM_CHECK_EQUAL(value_of(count), NaiveCount(rows)(columns));
}

void check_at_most(int rows, int columns, int n, const Execution& execution) {
    TableMemory memory{1U << 20, 0};
    BigCount by_rows, by_columns;
    TNM_CHECK(count_at_most(rows, columns, n, memory, by_rows, execution) == Status::ok);
    TNM_CHECK(count_at_most(columns, rows, n, memory, by_columns, execution) == Status::ok);
    TNM_CHECK(by_rows == by_columns);
}

std::uint64_t binomial(int n, int k) {
    std::uint64_t value = 1;
    for (int i = 1; i <= k; ++i)
        value = value * static_cast<std::uint64_t>(n - k + i) / static_cast<std::uint64_t>(i);
    return value;
}

void check_regular(const RegularMargins& margins, const Execution& execution) {
    std::unique_ptr<RegularCounter> counter;
    const auto& [rows, columns, row_sum, column_sum] = margins;
    const bool valid = 0 < row_sum && row_sum < columns && 0 < column_sum && column_sum < rows &&
                       row_sum * rows == column_sum * columns;
    TNM_CHECK(RegularCounter::create(margins, counter) ==
              (valid ? Status::ok : Status::invalid_argument));
    if (!valid) return;
    const RegularCountPlan& plan = counter->plan();
    std::vector<GroupSums> sums(plan.primes.size() / kGroupPrimes, GroupSums{});
    std::unique_ptr<RegularPass> pass;
    for (int index = 0; index < static_cast<int>(sums.size()) * plan.classes; ++index) {
        TNM_CHECK(RegularPass::create(*counter, index, pass) == Status::ok);
        TNM_CHECK(pass->add_slices(0, pass->slices(),
                                   sums[static_cast<std::size_t>(index / plan.classes)],
                                   execution) == Status::ok);
    }
    std::vector<std::uint32_t> digits;
    TNM_CHECK(counter->digits(sums, digits) == Status::ok);
    std::uint64_t quotient = 0, weight = 1;
    for (std::size_t k = 0; k < digits.size(); ++k) {
        quotient += digits[k] * weight;
        weight *= plan.primes[k];
    }
    const std::uint64_t count =
        quotient * binomial(columns, row_sum) * binomial(rows - 1, column_sum - 1);
    TNM_CHECK_EQUAL(count, NaiveCount(Sums(static_cast<std::size_t>(rows), row_sum))(
                               Sums(static_cast<std::size_t>(columns), column_sum)));
}

Sums read_sums(Reader& reader, int length, int most) {
    Sums sums(static_cast<std::size_t>(length));
    for (int& sum : sums) sum = reader.between(0, most);
    return sums;
}

// Moves units until both sides have the same total, if they can; sometimes not.
void even_out(Sums& rows, Sums& columns) {
    int missing = std::accumulate(rows.begin(), rows.end(), 0) -
                  std::accumulate(columns.begin(), columns.end(), 0);
    Sums& lower = missing > 0 ? columns : rows;
    const int most = static_cast<int>(missing > 0 ? rows.size() : columns.size());
    missing = std::abs(missing);
    for (int& sum : lower) {
        const int more = std::min(missing, most - sum);
        sum += more;
        missing -= more;
    }
}

void check_one(Reader reader) {
    const Execution execution = read_execution(reader);
    const int height = reader.between(1, 6), width = reader.between(1, 6);
    Sums rows = read_sums(reader, height, width), columns = read_sums(reader, width, height);
    if (reader.byte() % 4 != 0) even_out(rows, columns);
    const Given given([&] {
        std::string text = "rows";
        for (const int sum : rows) text += join(" ", sum);
        text += ", columns";
        for (const int sum : columns) text += join(" ", sum);
        return text;
    });
    check_margins(rows, columns, execution);
    check_at_most(height, width, reader.between(0, 7), execution);
    check_regular({height, width, reader.between(0, 6), reader.between(0, 6)}, execution);
    const int side = reader.between(1, 6), sum = reader.between(0, 6);
    check_regular({side, side, sum, sum}, execution);
}

}  // namespace
}  // namespace tnm::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
