// Strips of scores, and their tiles, for the tests of the stages of the fast path.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <type_traits>
#include <vector>

#include "fast_path/kernels/strip/by_field_width-inl.hpp"
#include "fast_path/strip.hpp"
#include "reference/tile.hpp"
#include "support/check.hpp"
#include "support/random.hpp"
#include "support/values.hpp"

namespace tnm::test {

// What a test of stages defines in place of main().
int test_stage(int argc, char** argv);

// Every field width, with padding and without, and n from one end to the other.
inline constexpr std::array kStripPatterns = {
    Pattern{1, 4},  Pattern{2, 4},   Pattern{3, 4},   Pattern{1, 3},   Pattern{4, 8},
    Pattern{7, 8},  Pattern{2, 5},   Pattern{8, 16},  Pattern{4, 9},   Pattern{16, 32},
    Pattern{8, 31}, Pattern{32, 64}, Pattern{60, 64}, Pattern{16, 33},
};

using TNM_ISA::by_field_width;

// Calls make(i, j) for entry (i, j) of each tile of the strip.
template <class T, class Make>
std::unique_ptr<StripScores<T>> make_strip(int m, Make&& make) {
    auto strip = std::make_unique<StripScores<T>>();
    const int width = field_width(m);
    for (int c = 0; c < kStripColumns; ++c) {
        if (c % width >= m) continue;
        for (int i = 0; i < m; ++i) {
            const T score = static_cast<T>(make(i, c));
            strip->values[i * kStripColumns + c] = score;
            strip->largest[c] = std::max(strip->largest[c], std::fabs(score));
        }
    }
    return strip;
}

// Every tile has a distribution of its own, so that unlike tiles are neighbours.
template <class T>
std::unique_ptr<StripScores<T>> draw_strip(int m, Random& random) {
    constexpr Dtype kDtype = std::is_same_v<T, float> ? Dtype::float32 : Dtype::float64;
    const int tiles = kStripColumns / field_width(m);
    std::vector<Distribution> distributions;
    for (int tile = 0; tile < tiles; ++tile)
        distributions.push_back(kDistributions.begin()[random.bits() % kDistributions.size()]);
    return make_strip<T>(m, [&](int i, int c) {
        const int tile = c / field_width(m);
        return draw(distributions[static_cast<std::size_t>(tile)], kDtype, i, c, random);
    });
}

template <class T>
Tile tile_of(const StripScores<T>& strip, Pattern pattern, int tile) {
    Tile result{pattern.m, pattern.m, pattern, {}};
    for (int i = 0; i < pattern.m; ++i)
        for (int j = 0; j < pattern.m; ++j)
            result.scores.push_back(static_cast<double>(
                strip.values[i * kStripColumns + tile * field_width(pattern.m) + j]));
    return result;
}

// Which entries of a tile these rows of bits keep.
inline Flags flags_of(const std::uint64_t* rows, int m, int tile) {
    Flags flags;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j) flags.push_back(rows[i] >> (tile * field_width(m) + j) & 1U);
    return flags;
}

// Calls check.operator()<w, T>(strip, pattern) with strips of all patterns and both types.
template <class Check>
void for_each_strip(int strips_a_pattern, Check&& check) {
    Random random(1);
    for (const Pattern pattern : kStripPatterns)
        for (int repeat = 0; repeat < strips_a_pattern; ++repeat)
            by_field_width(pattern.m, [&]<int kW>() {
                const Given given([&] { return join("pattern ", pattern.n, ":", pattern.m); });
                check.template operator()<kW>(*draw_strip<float>(pattern.m, random), pattern);
                check.template operator()<kW>(*draw_strip<double>(pattern.m, random), pattern);
            });
}

}  // namespace tnm::test
