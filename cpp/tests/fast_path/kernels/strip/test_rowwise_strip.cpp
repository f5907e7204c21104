// The n highest scores of every row of every tile.
#include "fast_path/kernels/strip/rowwise-inl.hpp"

#include <numeric>

#include "fast_path/kernels/strips.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

// By sorting; of equal scores the lowest columns.
Flags keep_highest(const Tile& tile) {
    Flags kept(tile.scores.size());
    for (int i = 0; i < tile.rows; ++i) {
        std::vector<int> columns(static_cast<std::size_t>(tile.columns));
        std::iota(columns.begin(), columns.end(), 0);
        std::stable_sort(columns.begin(), columns.end(),
                         [&](int a, int b) { return tile(i, a) > tile(i, b); });
        for (int k = 0; k < tile.pattern.n; ++k)
            kept[static_cast<std::size_t>(i * tile.columns +
                                          columns[static_cast<std::size_t>(k)])] = 1;
    }
    return kept;
}

void test_equals_sorting() {
    for_each_strip(2, []<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        for (const int n : {pattern.n, pattern.m}) {
            const Pattern wanted{n, pattern.m};
            std::uint64_t kept[kLargestStripM];
            isa::rowwise<T>(wanted)(scores.values, wanted, kept);
            for (int tile = 0; tile < kStripColumns / kW; ++tile)
                TNM_CHECK(flags_of(kept, pattern.m, tile) ==
                          keep_highest(tile_of(scores, wanted, tile)));
            for (int i = 0; i < pattern.m; ++i)
                for (int c = 0; c < kStripColumns; ++c)
                    if (c % kW >= pattern.m) TNM_CHECK_EQUAL(kept[i] >> c & 1U, 0U);
        }
    });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv, {{"equals_sorting", test_equals_sorting}});
}

}  // namespace tnm::test
