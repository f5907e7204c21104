// Numbering masks against the enumeration, there and back at larger sizes; sampling; the chain.
#include "tnm/counting/mask_table.hpp"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/check.hpp"
#include "support/random.hpp"
#include "tnm/counting/curveball.hpp"
#include "tnm/counting/enumerate.hpp"

namespace tnm::test {
namespace {

using Words = std::vector<std::uint64_t>;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t kAllowed = 1U << 30;

std::unique_ptr<MaskTable> table_of(const Pattern& pattern) {
    TableMemory memory{kAllowed, 0};
    std::unique_ptr<MaskTable> table;
    TNM_CHECK(MaskTable::create(pattern, memory, table, {}) == Status::ok);
    TNM_CHECK(table->bytes() == memory.needed);
    return table;
}

Execution on(int threads) {
    Execution execution;
    execution.threads = threads;
    return execution;
}

Bytes unranked(const MaskTable& table, const Words& indices, int threads = 1) {
    const auto count = static_cast<std::int64_t>(indices.size() / table.total().size());
    const int m = table.pattern().m;
    Bytes masks(static_cast<std::size_t>(count * m * m), 0xee);
    TNM_CHECK(table.unrank(indices.data(), count, masks.data(), on(threads)) == Status::ok);
    return masks;
}

Bytes sampled(const MaskTable& table, const Words& draws, int threads = 1) {
    const auto count = static_cast<std::int64_t>(draws.size() / table.total().size());
    const int m = table.pattern().m;
    Bytes masks(static_cast<std::size_t>(count * m * m), 0xee);
    TNM_CHECK(table.sample(draws.data(), count, masks.data(), on(threads)) == Status::ok);
    return masks;
}

Words ranked(const MaskTable& table, const Bytes& masks, int threads = 1) {
    const int m = table.pattern().m;
    const auto count = static_cast<std::int64_t>(masks.size()) / (m * m);
    Words indices(static_cast<std::size_t>(count) * table.total().size(), 0xee);
    TNM_CHECK(table.rank(masks.data(), count, indices.data(), on(threads)) == Status::ok);
    return indices;
}

// 0, 1, 2, ..., total - 1, for totals of one limb.
Words all_indices(const MaskTable& table) {
    Words indices(table.total().at(0));
    for (std::size_t k = 0; k < indices.size(); ++k) indices[k] = k;
    return indices;
}

// Random numbers below the total, the first and the last among them.
Words some_indices(const MaskTable& table, int count, std::uint64_t seed) {
    const BigCount& total = table.total();
    Random random(seed);
    Words indices(total.size(), 0);
    Words last = total;
    for (std::size_t limb = 0; last[limb]-- == 0; ++limb) {
    }
    indices.insert(indices.end(), last.begin(), last.end());
    for (int k = 2; k < count; ++k) {
        for (std::size_t limb = 0; limb + 1 < total.size(); ++limb)
            indices.push_back(random.bits());
        indices.push_back(random.bits() % total.back());
    }
    return indices;
}

void check_masks(const Bytes& masks, const Pattern& pattern) {
    const int m = pattern.m;
    for (std::size_t start = 0; start < masks.size(); start += m * m) {
        std::vector<int> in_row(m), in_column(m);
        for (int k = 0; k < m * m; ++k) {
            TNM_CHECK(masks[start + k] <= 1);
            in_row[k / m] += masks[start + k];
            in_column[k % m] += masks[start + k];
        }
        const std::vector<int> expected(m, pattern.n);
        TNM_CHECK(in_row == expected && in_column == expected);
    }
}

void test_against_enumeration() {
    for (const Pattern& pattern :
         {Pattern{1, 1}, Pattern{1, 2}, Pattern{2, 2}, Pattern{1, 4}, Pattern{2, 4}, Pattern{3, 4},
          Pattern{2, 5}, Pattern{3, 5}, Pattern{5, 5}, Pattern{5, 6}}) {
        const Given given([&] { return join(pattern.n, ":", pattern.m); });
        const auto table = table_of(pattern);
        TNM_CHECK_EQUAL(table->total().size(), 1U);
        std::unique_ptr<MaskEnumerator> enumerator;
        TNM_CHECK(MaskEnumerator::create(pattern, enumerator) == Status::ok);
        Words codes(table->total()[0] + 1);
        TNM_CHECK_EQUAL(enumerator->next(codes.data(), static_cast<std::int64_t>(codes.size())),
                        static_cast<std::int64_t>(table->total()[0]));
        const Words indices = all_indices(*table);
        const Bytes masks = unranked(*table, indices);
        const int entries = pattern.m * pattern.m;
        for (std::size_t k = 0; k < indices.size(); ++k) {
            std::uint64_t code = 0;
            for (int e = 0; e < entries; ++e) code = 2 * code + masks[k * entries + e];
            TNM_CHECK_EQUAL(code, codes[k]);
        }
        TNM_CHECK(ranked(*table, masks) == indices);
    }
}

void test_there_and_back() {
    for (const Pattern& pattern : {Pattern{4, 8}, Pattern{8, 16}, Pattern{12, 16}, Pattern{4, 32},
                                   Pattern{1, 64}, Pattern{2, 128}, Pattern{127, 128}}) {
        const Given given([&] { return join(pattern.n, ":", pattern.m); });
        const auto table = table_of(pattern);
        const Words indices = some_indices(*table, 5, pattern.m);
        const Bytes masks = unranked(*table, indices);
        check_masks(masks, pattern);
        TNM_CHECK(ranked(*table, masks) == indices);
        TNM_CHECK(unranked(*table, indices, 2) == masks);
        check_masks(sampled(*table, indices), pattern);
    }
}

// Every number leads to another mask, so that uniform numbers give uniform masks.
void test_sampling_is_one_to_one() {
    for (const Pattern& pattern : {Pattern{1, 1}, Pattern{2, 4}, Pattern{3, 4}, Pattern{4, 4},
                                   Pattern{2, 5}, Pattern{3, 5}, Pattern{5, 6}}) {
        const Given given([&] { return join(pattern.n, ":", pattern.m); });
        const auto table = table_of(pattern);
        const Words draws = all_indices(*table);
        const Bytes masks = sampled(*table, draws);
        check_masks(masks, pattern);
        const auto entries = static_cast<std::ptrdiff_t>(pattern.m * pattern.m);
        std::set<std::string> distinct;
        for (auto mask = masks.begin(); mask != masks.end(); mask += entries)
            distinct.emplace(mask, mask + entries);
        TNM_CHECK_EQUAL(distinct.size(), draws.size());
        TNM_CHECK(sampled(*table, draws, 3) == masks);
    }
}

// A block of numbers that starts at random, many limbs wide.
void test_neighbours_differ_when_sampled() {
    const auto table = table_of({8, 16});
    Words draws = some_indices(*table, 3, 5);
    draws.erase(draws.begin(), draws.end() - static_cast<std::ptrdiff_t>(table->total().size()));
    draws[0] = 0;
    const Words first = draws;
    for (std::uint64_t k = 1; k < 300; ++k) {
        draws.insert(draws.end(), first.begin(), first.end());
        draws[draws.size() - first.size()] = k;
    }
    const Bytes masks = sampled(*table, draws);
    check_masks(masks, {8, 16});
    std::set<std::string> distinct;
    for (auto mask = masks.begin(); mask != masks.end(); mask += 256)
        distinct.emplace(mask, mask + 256);
    TNM_CHECK_EQUAL(distinct.size(), 300U);
}

void test_bad_arguments_and_memory() {
    std::unique_ptr<MaskTable> table;
    TableMemory memory{kAllowed, 0};
    for (const Pattern& pattern : {Pattern{0, 4}, Pattern{5, 4}, Pattern{1, 129}})
        TNM_CHECK(MaskTable::create(pattern, memory, table, {}) == Status::invalid_argument);
    TNM_CHECK(MaskTable::create({16, 32}, memory, table, {}) == Status::table_too_large);
    TNM_CHECK(memory.needed > kAllowed);
    TNM_CHECK(MaskTable::create({64, 128}, memory, table, {}) == Status::table_too_large);
    TNM_CHECK(table == nullptr);
}

Bytes chained(const Pattern& pattern, std::int64_t trades, const Words& seeds, int threads = 1) {
    const auto count = static_cast<std::int64_t>(seeds.size()) / kCurveballSeedWords;
    Bytes masks(static_cast<std::size_t>(count * pattern.m * pattern.m), 0xee);
    TNM_CHECK(curveball_masks(pattern, trades, seeds.data(), count, masks.data(), on(threads)) ==
              Status::ok);
    return masks;
}

void test_curveball() {
    Random random(3);
    Words seeds(4 * 40);
    for (std::uint64_t& word : seeds) word = random.bits();
    std::fill_n(seeds.begin(), 4, 0U);
    for (const Pattern& pattern : {Pattern{1, 1}, Pattern{1, 2}, Pattern{2, 2}, Pattern{2, 4},
                                   Pattern{8, 16}, Pattern{63, 64}, Pattern{33, 128}}) {
        const Given given([&] { return join(pattern.n, ":", pattern.m); });
        for (const std::int64_t trades : {0, 1, 50}) {
            const Bytes masks = chained(pattern, trades, seeds);
            check_masks(masks, pattern);
            TNM_CHECK(chained(pattern, trades, seeds, 3) == masks);
            // A mask depends on its own seed alone.
            const Words second(seeds.begin() + 4, seeds.begin() + 8);
            const std::ptrdiff_t entries = pattern.m * pattern.m;
            TNM_CHECK(chained(pattern, trades, second) ==
                      Bytes(masks.begin() + entries, masks.begin() + 2 * entries));
        }
    }
    TNM_CHECK(chained({8, 16}, 0, seeds) != chained({8, 16}, 1, seeds));
}

void test_curveball_is_interrupted() {
    int asked = 0;
    Execution execution;
    execution.context = &asked;
    execution.interrupted = [](void* context) { return ++*static_cast<int*>(context) > 3; };
    const Words seeds(4, 1);
    Bytes mask(64 * 64);
    TNM_CHECK(curveball_masks({32, 64}, std::int64_t{1} << 50, seeds.data(), 1, mask.data(),
                              execution) == Status::interrupted);
    TNM_CHECK_EQUAL(asked, 4);
    TNM_CHECK(curveball_masks({5, 4}, 1, seeds.data(), 1, mask.data(), {}) ==
              Status::invalid_argument);
    TNM_CHECK(curveball_masks({2, 4}, -1, seeds.data(), 1, mask.data(), {}) ==
              Status::invalid_argument);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"against_enumeration", test_against_enumeration},
                         {"there_and_back", test_there_and_back},
                         {"sampling_is_one_to_one", test_sampling_is_one_to_one},
                         {"neighbours_differ_when_sampled", test_neighbours_differ_when_sampled},
                         {"bad_arguments_and_memory", test_bad_arguments_and_memory},
                         {"curveball", test_curveball},
                         {"curveball_is_interrupted", test_curveball_is_interrupted},
                     });
}
