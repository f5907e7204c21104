// The dynamic program over margins against going through all matrices, and against known values.
#include "tnm/counting/margin_count.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "support/check.hpp"
#include "support/random.hpp"

namespace tnm::test {
namespace {

using Sums = std::vector<int>;
using Margins = std::pair<Sums, Sums>;

constexpr std::uint64_t kAllowed = 1U << 30;

Margins margins_of(std::uint32_t bits, int rows, int columns) {
    Margins margins{Sums(rows), Sums(columns)};
    for (int k = 0; k < rows * columns; ++k)
        if ((bits >> k & 1U) != 0) {
            ++margins.first[k / columns];
            ++margins.second[k % columns];
        }
    return margins;
}

BigCount counted(const Margins& margins, int threads = 1) {
    TableMemory memory{kAllowed, 0};
    BigCount count{99};
    Execution execution;
    execution.threads = threads;
    TNM_CHECK(count_margins(margins.first, margins.second, memory, count, execution) == Status::ok);
    TNM_CHECK(memory.needed <= kAllowed);
    return count;
}

BigCount big(std::uint64_t number) {
    return number == 0 ? BigCount{} : BigCount{number};
}

void check_all_matrices(int rows, int columns) {
    std::map<Margins, std::uint64_t> tally;
    for (std::uint32_t bits = 0; bits >> (rows * columns) == 0; ++bits)
        ++tally[margins_of(bits, rows, columns)];
    for (const auto& [margins, number] : tally) TNM_CHECK(counted(margins) == big(number));
    for (int n = 0; n <= std::max(rows, columns) + 1; ++n) {
        const Given given([&] { return join("at most ", n, " on ", rows, " x ", columns); });
        std::uint64_t number = 0;
        for (const auto& [margins, some] : tally) {
            const auto small = [&](int sum) { return sum <= n; };
            if (std::all_of(margins.first.begin(), margins.first.end(), small) &&
                std::all_of(margins.second.begin(), margins.second.end(), small))
                number += some;
        }
        TableMemory memory{kAllowed, 0};
        BigCount count;
        TNM_CHECK(count_at_most(rows, columns, n, memory, count, {}) == Status::ok);
        TNM_CHECK(count == big(number));
    }
}

void test_against_all_matrices() {
    for (int rows = 1; rows <= 5; ++rows)
        for (int columns = 1; rows * columns <= 12 && columns <= 6; ++columns)
            check_all_matrices(rows, columns);
}

void test_impossible_margins() {
    TNM_CHECK(counted({{3, 0, 0}, {2, 1, 0}}).empty());
    TNM_CHECK(counted({{4, 4, 0, 0}, {3, 3, 2, 0}}).empty());
}

void test_known_values() {
    TNM_CHECK(counted({Sums(4, 2), Sums(4, 2)}) == big(90));
    TNM_CHECK(counted({Sums(8, 4), Sums(8, 4)}) == big(116963796250));
    TNM_CHECK(counted({Sums(10, 5), Sums(10, 5)}) == big(6736218287430460752));
    // 64051375889927380035549804336
    TNM_CHECK(counted({Sums(12, 6), Sums(12, 6)}) == BigCount({9725976965602621232U, 3472232044U}));
    TableMemory memory{kAllowed, 0};
    BigCount count;
    TNM_CHECK(count_at_most(8, 8, 4, memory, count, {}) == Status::ok);
    TNM_CHECK(count == big(94473463102448047));
}

// Wide rows: more than 2^64 choices of columns.
void test_wide_rows() {
    // 128 over 64 = 23951146041928082866135587776380551750
    const BigCount choices{13075353597415539270U, 1298394228608800905U};
    TNM_CHECK(counted({{64, 64}, Sums(128, 1)}) == choices);
    TNM_CHECK(counted({{64, 64, 0}, Sums(128, 1)}) == choices);
    TNM_CHECK(counted({{64, 64, 128}, Sums(128, 2)}) == choices);
    TNM_CHECK(counted({Sums(128, 1), {64, 64}}) == choices);
}

void test_symmetries() {
    Random random(1);
    for (int round = 0; round < 40; ++round) {
        const int rows = random.between(1, 9), columns = random.between(1, 9);
        Margins margins{Sums(rows), Sums(columns)};
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j)
                if (random.between(0, 2) == 0) ++margins.first[i], ++margins.second[j];
        const BigCount count = counted(margins);
        TNM_CHECK(!count.empty());
        TNM_CHECK(counted({margins.second, margins.first}) == count);
        TNM_CHECK(counted(margins, 3) == count);
        Margins zeros = margins;
        for (int& sum : zeros.first) sum = columns - sum;
        for (int& sum : zeros.second) sum = rows - sum;
        TNM_CHECK(counted(zeros) == count);
        std::reverse(margins.first.begin(), margins.first.end());
        std::rotate(margins.second.begin(), margins.second.begin() + columns / 2,
                    margins.second.end());
        TNM_CHECK(counted(margins) == count);
    }
}

void test_empty() {
    TNM_CHECK(counted({{}, {}}) == big(1));
    TNM_CHECK(counted({{0, 0}, {}}) == big(1));
    TNM_CHECK(counted({{0, 0}, {0}}) == big(1));
    TableMemory memory{kAllowed, 0};
    BigCount count;
    for (const auto& [rows, columns] : {std::pair{0, 3}, std::pair{3, 0}, std::pair{2, 3}}) {
        TNM_CHECK(count_at_most(rows, columns, 0, memory, count, {}) == Status::ok);
        TNM_CHECK(count == big(1));
    }
}

void test_bad_arguments() {
    TableMemory memory{kAllowed, 0};
    BigCount count;
    const auto status = [&](const Sums& rows, const Sums& columns) {
        return count_margins(rows, columns, memory, count, {});
    };
    TNM_CHECK(status({1, 1}, {1, 0}) == Status::invalid_argument);
    TNM_CHECK(status({3, 1}, {2, 2}) == Status::invalid_argument);
    TNM_CHECK(status({-1, 1}, {0, 0}) == Status::invalid_argument);
    TNM_CHECK(status({1}, {}) == Status::invalid_argument);
    TNM_CHECK(status(Sums(129, 0), {0}) == Status::invalid_argument);
    TNM_CHECK(status({0}, Sums(129, 0)) == Status::invalid_argument);
    for (const auto& [rows, columns, n] :
         {std::array{-1, 4, 1}, std::array{4, 129, 1}, std::array{4, 4, -1}})
        TNM_CHECK(count_at_most(rows, columns, n, memory, count, {}) == Status::invalid_argument);
}

void test_memory_is_limited() {
    TableMemory memory{kAllowed, 0};
    BigCount count;
    TNM_CHECK(count_margins(Sums(8, 4), Sums(8, 4), memory, count, {}) == Status::ok);
    const std::uint64_t needed = memory.needed;
    for (const std::uint64_t allowed : {needed, needed - 1, std::uint64_t{0}}) {
        memory = {allowed, 0};
        const Status status = count_margins(Sums(8, 4), Sums(8, 4), memory, count, {});
        TNM_CHECK(status == (allowed == needed ? Status::ok : Status::table_too_large));
        TNM_CHECK(memory.needed > allowed || allowed == needed);
    }
    // More profiles than any memory holds.
    memory = {~std::uint64_t{0} - 1, 0};
    TNM_CHECK(count_margins(Sums(32, 16), Sums(32, 16), memory, count, {}) ==
              Status::table_too_large);
    TNM_CHECK(count_at_most(32, 32, 16, memory, count, {}) == Status::table_too_large);
}

void test_interruption() {
    for (const int threads : {1, 2}) {
        int asked = 0;
        Execution execution;
        execution.threads = threads;
        execution.context = &asked;
        execution.interrupted = [](void* context) { return ++*static_cast<int*>(context) > 20; };
        TableMemory memory{kAllowed, 0};
        BigCount count;
        TNM_CHECK(count_margins(Sums(16, 8), Sums(16, 8), memory, count, execution) ==
                  Status::interrupted);
        TNM_CHECK_EQUAL(asked, 21);
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"against_all_matrices", test_against_all_matrices},
                         {"impossible_margins", test_impossible_margins},
                         {"known_values", test_known_values},
                         {"wide_rows", test_wide_rows},
                         {"symmetries", test_symmetries},
                         {"empty", test_empty},
                         {"bad_arguments", test_bad_arguments},
                         {"memory_is_limited", test_memory_is_limited},
                         {"interruption", test_interruption},
                     });
}
