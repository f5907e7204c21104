// All stages of a strip, one after another.
#include "fast_path/kernels/dual/solve_strip-inl.hpp"

#include "fast_path/kernels/strips.hpp"
#include "reference/fast_path/augment.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

template <int kW, class T>
std::unique_ptr<StripSolution> solved(const StripScores<T>& scores, Pattern pattern,
                                      std::uint64_t tiles = ~std::uint64_t{0}) {
    auto solution = std::make_unique<StripSolution>();
    solution->wants_prices = true;
    solution->tiles = tiles;
    if (pattern.m < kW)
        isa::solve_strip<kW, true, 0>(scores, pattern, {}, *solution);
    else
        isa::solve_strip<kW, false, 0>(scores, pattern, {}, *solution);
    return solution;
}

// Tiles that are not left to the general solver are balanced, and their prices prove them optimal.
template <int kW, class T>
int check_tiles(const StripScores<T>& scores, Pattern pattern, double tolerance) {
    const auto solution = solved<kW>(scores, pattern);
    int left = 0;
    for (int first = 0; first < kStripColumns; first += kW) {
        if (solution->unsolved >> first / kW & 1U) {
            ++left;
            continue;
        }
        const Tile tile = tile_of(scores, pattern, first / kW);
        const Given given([&] { return tile.description(); });
        const naive::Balance balance{
            flags_of(solution->kept, pattern.m, first / kW),
            {solution->row_prices + first, solution->row_prices + first + pattern.m},
            {solution->column_prices + first, solution->column_prices + first + pattern.m}};
        double largest = 0.0;
        for (const double score : tile.scores) largest = std::max(largest, std::fabs(score));
        TNM_CHECK(obeys_pattern(tile, balance.kept));
        TNM_CHECK(naive::worst_violation(tile, balance) <= tolerance * largest);
    }
    return left;
}

void test_every_distribution() {
    int left = 0, strips = 0;
    for_each_strip(3, [&]<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        left += check_tiles<kW>(scores, pattern, 0x1p-44);
        ++strips;
    });
    // Some tiles do not fit into the range of a float, and few others are left.
    TNM_CHECK(0 < left && left < 2 * strips);
}

// A tile has the same mask whether or not others are missing; those are left to nobody.
void test_missing_tiles() {
    for_each_strip(2, [&]<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        const auto all = solved<kW>(scores, pattern), first = solved<kW>(scores, pattern, 1);
        TNM_CHECK(first->unsolved == (all->unsolved & 1U));
        if (first->unsolved == 0)
            TNM_CHECK(flags_of(first->kept, pattern.m, 0) == flags_of(all->kept, pattern.m, 0));
    });
}

// Integers at both ends of the 16 bits that the sweeps have, and ties among them: exact.
void test_ends_of_the_integers() {
    Random random(10);
    for (const Pattern pattern : kStripPatterns)
        for (int repeat = 0; repeat < 6; ++repeat)
            by_field_width(pattern.m, [&]<int kW>() {
                const int lows = random.between(1, 3), spread = random.between(0, 2);
                const int unit = 1 << random.between(0, 3);
                const int most = isa::kPriceBound / unit * unit;
                const auto scores = make_strip<float>(pattern.m, [&](int, int) {
                    return random.between(0, lows) == 0 ? most
                                                        : -most + unit * random.between(0, spread);
                });
                check_tiles<kW>(*scores, pattern, 0.0);
            });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"every_distribution", test_every_distribution},
                         {"missing_tiles", test_missing_tiles},
                         {"ends_of_the_integers", test_ends_of_the_integers},
                     });
}

}  // namespace tnm::test
