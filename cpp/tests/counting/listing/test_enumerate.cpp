// All masks of small tiles, in order, against going through all matrices.
#include "tnm/counting/enumerate.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <vector>

#include "support/check.hpp"
#include "support/random.hpp"

namespace tnm::test {
namespace {

using Codes = std::vector<std::uint64_t>;

MaskEnumerator enumerator_of(const Pattern& pattern) {
    std::unique_ptr<MaskEnumerator> enumerator;
    TNM_CHECK(MaskEnumerator::create(pattern, enumerator) == Status::ok);
    return *enumerator;
}

// Whatever is left, in arrays of `capacity`.
Codes drained(MaskEnumerator& enumerator, std::int64_t capacity) {
    Codes codes;
    for (;;) {
        Codes chunk(static_cast<std::size_t>(capacity), 0xeeeeeeeeeeeeeeee);
        const std::int64_t count = enumerator.next(chunk.data(), capacity);
        TNM_CHECK(0 <= count && count <= capacity);
        codes.insert(codes.end(), chunk.begin(), chunk.begin() + count);
        if (count < capacity) {
            TNM_CHECK_EQUAL(enumerator.next(chunk.data(), capacity), 0);
            return codes;
        }
    }
}

bool keeps_n(std::uint64_t code, const Pattern& pattern) {
    const std::uint64_t row = (std::uint64_t{1} << pattern.m) - 1;
    std::uint64_t column = 0;
    for (int i = 0; i < pattern.m; ++i) column |= std::uint64_t{1} << (i * pattern.m);
    for (int i = 0; i < pattern.m; ++i)
        if (std::popcount(code & row << (i * pattern.m)) != pattern.n ||
            std::popcount(code & column << i) != pattern.n)
            return false;
    return true;
}

void test_against_all_matrices() {
    for (int m = 1; m <= 4; ++m)
        for (int n = 1; n <= m; ++n) {
            const Given given([&] { return join(n, ":", m); });
            Codes expected;
            for (std::uint64_t code = 0; code >> (m * m) == 0; ++code)
                if (keeps_n(code, {n, m})) expected.push_back(code);
            for (const int capacity : {1, 2, 7, 1000}) {
                MaskEnumerator enumerator = enumerator_of({n, m});
                TNM_CHECK(drained(enumerator, capacity) == expected);
            }
        }
}

void test_complete_and_ascending() {
    struct Known {
        Pattern pattern;
        std::size_t masks;
    };
    for (const auto& [pattern, masks] :
         {Known{{1, 5}, 120}, Known{{2, 5}, 2040}, Known{{3, 5}, 2040}, Known{{2, 6}, 67950},
          Known{{1, 8}, 40320}, Known{{7, 8}, 40320}, Known{{8, 8}, 1}, Known{{3, 6}, 297200}}) {
        const Given given([&] { return join(pattern.n, ":", pattern.m); });
        MaskEnumerator enumerator = enumerator_of(pattern);
        const Codes codes = drained(enumerator, 4096);
        TNM_CHECK_EQUAL(codes.size(), masks);
        TNM_CHECK(std::adjacent_find(codes.begin(), codes.end(), std::greater_equal<>()) ==
                  codes.end());
        for (const std::uint64_t code : codes) TNM_CHECK(keeps_n(code, pattern));
    }
}

void test_seek() {
    Random random(1);
    for (const Pattern& pattern : {Pattern{1, 1}, Pattern{1, 2}, Pattern{2, 4}, Pattern{4, 4},
                                   Pattern{2, 5}, Pattern{5, 6}, Pattern{1, 8}}) {
        const Given given([&] { return join(pattern.n, ":", pattern.m); });
        MaskEnumerator enumerator = enumerator_of(pattern);
        const Codes codes = drained(enumerator, 4096);
        for (int round = 0; round < 20; ++round) {
            const auto place = static_cast<std::ptrdiff_t>(
                round == 0 ? codes.size() - 1 : random.bits() % codes.size());
            TNM_CHECK(enumerator.seek(codes[static_cast<std::size_t>(place)]) == Status::ok);
            TNM_CHECK(drained(enumerator, 513) == Codes(codes.begin() + place, codes.end()));
        }
    }
}

void test_bad_arguments() {
    std::unique_ptr<MaskEnumerator> enumerator;
    for (const Pattern& pattern : {Pattern{0, 4}, Pattern{5, 4}, Pattern{-1, 4}, Pattern{4, 9}})
        TNM_CHECK(MaskEnumerator::create(pattern, enumerator) == Status::invalid_argument);
    TNM_CHECK(MaskEnumerator::create({1, 2}, enumerator) == Status::ok);
    for (const std::uint64_t code : {0b0000U, 0b1111U, 0b1100U, 0b0101U, 0b10110U})
        TNM_CHECK(enumerator->seek(code) == Status::invalid_argument);
    TNM_CHECK(drained(*enumerator, 10) == Codes({0b0110, 0b1001}));
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"against_all_matrices", test_against_all_matrices},
                         {"complete_and_ascending", test_complete_and_ascending},
                         {"seek", test_seek},
                         {"bad_arguments", test_bad_arguments},
                     });
}
