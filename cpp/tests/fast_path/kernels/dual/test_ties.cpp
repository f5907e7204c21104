// The second attempt at tiles with many equal scores.
#include "fast_path/kernels/dual/ties-inl.hpp"

#include <numeric>

#include "fast_path/kernels/dual/fill_tight-inl.hpp"

#include "fast_path/kernels/dual/prices.hpp"
#include "reference/fast_path/threshold.hpp"
#include "reference/fast_path/ties.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

// The integers that a tile's scores are on, in units: multiples of 1 to 4096, signed or not, at the
// ends of the range or far from them; in some tiles a score is off them.
template <class T>
std::unique_ptr<StripScores<T>> draw_lattice(int m, Random& random) {
    struct Lattice {
        int step, most;
        bool negative, positive;
        double off;
    };
    std::vector<Lattice> lattices;
    for (int first = 0; first < kStripColumns; first += field_width(m)) {
        const int step = 1 << random.between(0, 12), kinds = random.between(0, 2);
        const int most = random.between(0, 1) ? 16383 / step : random.between(1, 3);
        lattices.push_back(
            {step, most, kinds != 0, kinds != 1, random.between(0, 3) == 0 ? 0.5 : 0.0});
    }
    return make_strip<T>(m, [&](int i, int c) {
        const Lattice& lattice = lattices[static_cast<std::size_t>(c / field_width(m))];
        // Half of all scores lie at the ends.
        const int low = lattice.negative ? -lattice.most : 0;
        const int high = lattice.positive ? lattice.most : 0;
        const int choice = random.between(0, 3);
        const int score = choice == 0 ? low : choice == 1 ? high : random.between(low, high);
        return score * lattice.step + (i == 1 ? lattice.off : 0.0);
    });
}

template <class Check>
void for_each_lattice(Check&& check) {
    Random random(6);
    for (const Pattern pattern : kStripPatterns)
        for (int repeat = 0; repeat < 1 + (pattern.m <= 8); ++repeat)
            by_field_width(pattern.m, [&]<int kW>() {
                const Given given([&] { return join("pattern ", pattern.n, ":", pattern.m); });
                const auto floats = draw_lattice<float>(pattern.m, random);
                check.template operator()<kW>(*priced_strip<kW>(*floats, pattern));
                const auto doubles = draw_lattice<double>(pattern.m, random);
                check.template operator()<kW>(*priced_strip<kW>(*doubles, pattern));
            });
}

template <int kW, class T>
std::array<std::uint64_t, kW> exact_entries(const PricedStrip<T>& strip) {
    std::array<std::uint64_t, kW> exact;
    isa::find_exact_entries<kW>(strip.scores->values, strip.quantized, exact.data());
    return exact;
}

void test_finds_exact_entries() {
    int exact_entries_seen = 0, others = 0;
    const auto check = [&]<int kW, class T>(const PricedStrip<T>& strip) {
        const auto exact = exact_entries<kW>(strip);
        for (int i = 0; i < strip.pattern.m; ++i)
            for (int c = 0; c < kStripColumns; ++c) {
                if (c % kW >= strip.pattern.m || strip.quantized.out_of_range >> c & 1U) continue;
                const double score =
                    static_cast<double>(strip.scores->values[i * kStripColumns + c]);
                const int entry = strip.quantized.by_row[i * kStripColumns + c];
                const bool is_exact = naive::compare(score, entry, strip.quantized.unit[c]) == 0;
                TNM_CHECK_EQUAL(is_exact, (exact[static_cast<std::size_t>(i)] >> c & 1U) != 0);
                ++(is_exact ? exact_entries_seen : others);
            }
    };
    for_each_lattice(check);
    for_each_strip(2, [&]<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        check.template operator()<kW>(*quantized_strip<kW>(scores, pattern));
    });
    TNM_CHECK(exact_entries_seen > 300 && others > 300);
}

// Zero for a tile of zeros; one where some entry was rounded.
template <int kW>
int lattice_of(const std::array<std::uint64_t, kW>& exact, const std::int16_t* by_row, int m,
               int first) {
    std::vector<int> entries;
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < m; ++j) {
            if ((exact[static_cast<std::size_t>(i)] >> (first + j) & 1U) == 0) return 1;
            entries.push_back(by_row[i * kStripColumns + first + j]);
        }
    return naive::common_power_of_two(entries);
}

void test_finds_lattices() {
    int coarse = 0, fine = 0;
    for_each_lattice([&]<int kW, class T>(const PricedStrip<T>& strip) {
        const auto exact = exact_entries<kW>(strip);
        alignas(64) std::int16_t price_bits[kStripColumns];
        isa::find_lattices<kW>(strip.quantized, exact.data(), strip.pattern.m, price_bits);
        const std::uint64_t on_lattice = isa::tiles_on_lattice<kW>(price_bits);
        for (int c = 0; c < kStripColumns; ++c) {
            const int lattice =
                lattice_of<kW>(exact, strip.quantized.by_row, strip.pattern.m, c / kW * kW);
            TNM_CHECK_EQUAL(int{price_bits[c]}, -lattice);
            TNM_CHECK_EQUAL(on_lattice >> c / kW & 1U, lattice != 1 ? 1U : 0U);
            ++(lattice != 1 ? coarse : fine);
        }
    });
    TNM_CHECK(coarse > 300 && fine > 300);
}

void test_sweeps_to_the_nth() {
    for_each_lattice([]<int kW, class T>(const PricedStrip<T>& strip) {
        const auto exact = exact_entries<kW>(strip);
        const int m = strip.pattern.m, n = strip.pattern.n;
        alignas(64) std::int16_t price_bits[kStripColumns], prices[kStripColumns];
        isa::find_lattices<kW>(strip.quantized, exact.data(), m, price_bits);
        isa::sweep_side_to_nth<kW>(strip.quantized.by_column, strip.prices.columns, strip.real(),
                                   price_bits, n, prices);
        for (int first = 0; first < kStripColumns; first += kW) {
            std::vector<int> expected(kW);
            naive::sweep_side_to_nth(lines_of(strip.quantized.by_column, kW, first),
                                     field_of(strip.prices.columns, kW, first), {m, n, 0},
                                     -price_bits[first], expected);
            TNM_CHECK(expected == field_of(prices, kW, first));
        }
    });
}

// Entries above their prices are kept; those at them are tight if prices and score are exact.
template <int kW, class T>
void check_thresholded(const PricedStrip<T>& strip) {
    const auto exact = exact_entries<kW>(strip);
    isa::ThresholdedStrip result;
    isa::threshold_with_ties<kW>(strip.scores->values, strip.quantized, strip.prices, exact.data(),
                                 result);
    for (int c = 0; c < kStripColumns; ++c) {
        if (c % kW >= strip.pattern.m || strip.quantized.out_of_range >> c & 1U) continue;
        int count = 0;
        for (int i = 0; i < strip.pattern.m; ++i) {
            const double score = static_cast<double>(strip.scores->values[i * kStripColumns + c]);
            const int price = strip.price(i, c);
            const int side = naive::compare(score, price, strip.quantized.unit[c]);
            const bool kept = result.kept[i] >> c & 1U, tight = result.undecided[i] >> c & 1U;
            TNM_CHECK_EQUAL(kept, side > 0);
            TNM_CHECK_EQUAL(tight, side == 0 && std::abs(price) <= isa::kPriceBound);
            count += kept;
        }
        TNM_CHECK_EQUAL(int{result.column_counts[c]}, count);
    }
}

void test_tells_what_is_tight() {
    Random random(7);
    for_each_lattice([&]<int kW, class T>(PricedStrip<T>& strip) {
        check_thresholded<kW>(strip);
        for (const int range : {0, 5, 1000, isa::kPriceBound + 0}) {
            draw_prices(strip.pattern.m, range, random, strip.prices.rows);
            draw_prices(strip.pattern.m, range, random, strip.prices.columns);
            check_thresholded<kW>(strip);
        }
    });
}

std::uint64_t draw_bits(int density, int m, Random& random) {
    std::uint64_t bits = 0;
    for (int j = 0; j < m; ++j)
        bits |= static_cast<std::uint64_t>(random.between(0, 7) < density) << j;
    return bits;
}

void test_takes_the_neediest() {
    Random random(8);
    for (const int m : {4, 8, 16, 32, 64})
        by_field_width(m, [&]<int kW>() {
            for (int repeat = 0; repeat < 40; ++repeat) {
                isa::ColumnNeeds<kW> needs;
                std::vector<int> units, candidates;
                for (int j = 0; j < kW; ++j) {
                    units.push_back(random.between(0, 1) ? random.between(0, kW) : 2);
                    needs.set(j, units.back());
                    if (random.between(0, 2) && units.back() > 0) candidates.push_back(j);
                }
                std::uint64_t bits = 0, expected = 0;
                for (const int j : candidates) bits |= std::uint64_t{1} << j;
                const int count = random.between(1, kW);
                for (const int j : naive::neediest(candidates, units, count)) {
                    expected |= std::uint64_t{1} << j;
                    --units[static_cast<std::size_t>(j)];
                }
                TNM_CHECK_EQUAL(needs.neediest(bits, count), expected);
                needs.take(expected);
                for (int j = 0; j < kW; ++j) {
                    TNM_CHECK_EQUAL(needs.units(j), units[static_cast<std::size_t>(j)]);
                    TNM_CHECK_EQUAL(needs.any() >> j & 1U,
                                    units[static_cast<std::size_t>(j)] > 0 ? 1U : 0U);
                }
            }
        });
}

// What a tile has, may take, and lacks.
struct FillCase {
    Pattern pattern;
    std::vector<std::uint64_t> kept, tight;
    std::vector<int> row_needs, column_needs;

    FillCase(Pattern of, Random& random) : pattern(of) {
        const int m = of.m, kept_density = random.between(0, 4);
        const int tight_density = random.between(1, 8);
        column_needs.assign(static_cast<std::size_t>(m), of.n);
        for (int i = 0; i < m; ++i) {
            kept.push_back(draw_bits(kept_density, m, random));
            tight.push_back(draw_bits(tight_density, m, random) & ~kept.back());
            row_needs.push_back(of.n - isa::popcount(kept.back()));
            for (int j = 0; j < m; ++j)
                column_needs[static_cast<std::size_t>(j)] -=
                    static_cast<int>(kept.back() >> j & 1U);
        }
    }
    Flags tight_flags() const {
        Flags flags;
        for (const std::uint64_t row : tight)
            for (int j = 0; j < pattern.m; ++j) flags.push_back(row >> j & 1U);
        return flags;
    }
};

// Only tight entries are added, nothing is taken away, no row or column gets more than it needs,
// and no other choice of entries would be larger.
void test_fills_as_much_as_can_be() {
    Random random(9);
    for (const Pattern pattern : kStripPatterns)
        for (int repeat = 0; repeat < 10; ++repeat)
            by_field_width(pattern.m, [&]<int kW>() {
                const FillCase tile(pattern, random);
                isa::TightFill<kW> fill;
                for (int i = 0; i < pattern.m; ++i) {
                    const auto k = static_cast<std::size_t>(i);
                    fill.set_row(i, tile.kept[k], tile.tight[k], tile.row_needs[k]);
                    fill.set_column_need(i, tile.column_needs[k]);
                }
                fill.fill_greedily(pattern.m);
                fill.augment(pattern.m);
                std::vector<int> in_column(static_cast<std::size_t>(pattern.m));
                int added = 0;
                for (int i = 0; i < pattern.m; ++i) {
                    const auto k = static_cast<std::size_t>(i);
                    const std::uint64_t row = fill.kept(i);
                    TNM_CHECK_EQUAL(row & tile.kept[k], tile.kept[k]);
                    TNM_CHECK_EQUAL(row & ~tile.kept[k] & ~tile.tight[k], 0U);
                    const int in_row = isa::popcount(row & ~tile.kept[k]);
                    TNM_CHECK(in_row <= std::max(0, tile.row_needs[k]));
                    added += in_row;
                    for (int j = 0; j < pattern.m; ++j)
                        in_column[static_cast<std::size_t>(j)] +=
                            static_cast<int>((row & ~tile.kept[k]) >> j & 1U);
                }
                for (int j = 0; j < pattern.m; ++j) {
                    const auto k = static_cast<std::size_t>(j);
                    const int need = std::max(0, tile.column_needs[k]);
                    TNM_CHECK(in_column[k] <= need);
                    TNM_CHECK_EQUAL(fill.column_need(j), need - in_column[k]);
                }
                TNM_CHECK_EQUAL(added, naive::most_tight(tile.tight_flags(), tile.row_needs,
                                                         tile.column_needs));
            });
}

// What the threshold leaves of a strip, tile by tile.
template <int kW>
isa::ThresholdedStrip draw_thresholded(Pattern pattern, Random& random) {
    isa::ThresholdedStrip strip{};
    for (int c = 0; c < kStripColumns; ++c) strip.column_counts[c] = 0;
    for (int first = 0; first < kStripColumns; first += kW) {
        const FillCase tile(pattern, random);
        for (int i = 0; i < pattern.m; ++i) {
            const auto k = static_cast<std::size_t>(i);
            strip.kept[i] |= tile.kept[k] << first;
            strip.undecided[i] |= tile.tight[k] << first;
            strip.column_counts[first + i] =
                static_cast<std::int16_t>(pattern.n - tile.column_needs[k]);
        }
    }
    return strip;
}

// All tiles at once as one after another, and nothing but the tiles that were asked for.
void test_fills_strips_as_tiles() {
    Random random(10);
    for (const Pattern pattern : kStripPatterns)
        for (int repeat = 0; repeat < 10; ++repeat)
            by_field_width(pattern.m, [&]<int kW>() {
                const isa::ThresholdedStrip before = draw_thresholded<kW>(pattern, random);
                isa::ThresholdedStrip filled = before, expected = before;
                std::uint64_t tiles = 0;
                for (int tile = 0; tile < kStripColumns / kW; ++tile)
                    if (random.between(0, 3) != 0) {
                        tiles |= std::uint64_t{1} << tile;
                        isa::fill_tile<kW>(tile * kW, pattern, nullptr, expected);
                    }
                isa::fill_tight<kW>(tiles, pattern, filled);
                for (int i = 0; i < pattern.m; ++i)
                    TNM_CHECK_EQUAL(filled.kept[i], expected.kept[i]);
                for (int c = 0; c < kStripColumns; ++c)
                    if (c % kW < pattern.m)
                        TNM_CHECK_EQUAL(filled.column_counts[c], expected.column_counts[c]);
            });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"finds_exact_entries", test_finds_exact_entries},
                         {"finds_lattices", test_finds_lattices},
                         {"sweeps_to_the_nth", test_sweeps_to_the_nth},
                         {"tells_what_is_tight", test_tells_what_is_tight},
                         {"takes_the_neediest", test_takes_the_neediest},
                         {"fills_as_much_as_can_be", test_fills_as_much_as_can_be},
                         {"fills_strips_as_tiles", test_fills_strips_as_tiles},
                     });
}

}  // namespace tnm::test
