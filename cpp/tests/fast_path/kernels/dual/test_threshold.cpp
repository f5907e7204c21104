// Keeping what is worth more than its prices.
#include "fast_path/kernels/dual/threshold-inl.hpp"

#include <bit>

#include "fast_path/kernels/dual/prices.hpp"
#include "reference/fast_path/threshold.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

// Calls check.operator()<w>(strip) with the prices that sweeps propose and with others.
template <class Check>
void for_each_pricing(Check&& check) {
    Random random(3);
    for_each_strip(3, [&]<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        const auto strip = priced_strip<kW>(scores, pattern);
        check.template operator()<kW>(*strip);
        for (const int range : {0, 3, 200, isa::kPriceBound + 0}) {
            draw_prices(pattern.m, range, random, strip->prices.rows);
            draw_prices(pattern.m, range, random, strip->prices.columns);
            check.template operator()<kW>(*strip);
        }
    });
}

// Tiles with many entries that may tie are left; they are those that the integers cannot tell.
template <int kW, class T>
std::uint64_t tied_tiles(const PricedStrip<T>& strip) {
    const int m = strip.pattern.m;
    std::uint64_t tied = 0;
    for (int c = 0; c < kStripColumns; c += kW) {
        int entries = 0;
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < m; ++j)
                entries +=
                    strip.quantized.by_row[i * kStripColumns + c + j] ==
                    std::clamp(strip.price(i, c + j), -isa::kPriceBound, isa::kPriceBound + 0);
        if (entries >= m / 4 + 2) tied |= std::uint64_t{1} << c / kW;
    }
    return tied;
}

void test_keeps_what_exceeds_its_prices() {
    int decided = 0, left = 0;
    for_each_pricing([&]<int kW, class T>(const PricedStrip<T>& strip) {
        const int m = strip.pattern.m;
        isa::ThresholdedStrip result;
        const std::uint64_t tied =
            isa::threshold<kW>(strip.scores->values, strip.quantized, strip.prices, m, result);
        TNM_CHECK_EQUAL(tied, tied_tiles<kW>(strip));
        for (int c = 0; c < kStripColumns; ++c) {
            const bool is_tied = tied >> c / kW & 1U;
            if (is_tied || (strip.quantized.out_of_range >> c & 1U) != 0) {
                ++left;
                continue;
            }
            ++decided;
            int count = 0;
            for (int i = 0; i < kW; ++i) {
                const bool real = i < m && c % kW < m;
                const double score =
                    static_cast<double>(strip.scores->values[i * kStripColumns + c]);
                const bool exceeds =
                    real && naive::compare(score, strip.price(i, c), strip.quantized.unit[c]) > 0;
                TNM_CHECK_EQUAL(exceeds, (result.kept[i] >> c & 1U) != 0);
                count += exceeds;
            }
            TNM_CHECK_EQUAL(int{result.column_counts[c]}, count);
        }
    });
    TNM_CHECK(decided > left && left > 0);
}

void test_finds_unbalanced_tiles() {
    Random random(4);
    for (const Pattern pattern : kStripPatterns)
        for (int repeat = 0; repeat < 4; ++repeat)
            by_field_width(pattern.m, [&]<int kW>() {
                const int m = pattern.m, n = pattern.n;
                isa::ThresholdedStrip strip{};
                std::uint64_t expected = 0;
                for (int first = 0; first < kStripColumns; first += kW) {
                    for (int i = 0; i < m; ++i)
                        for (int j = 0; j < n; ++j)
                            strip.kept[i] |= std::uint64_t{1} << (first + (i + j) % m);
                    // Balanced as it is; else one entry too many or too few, or one moved, which
                    // only a row or a column can tell.
                    const int i = random.between(0, m - 1), j = random.between(0, m - 1);
                    const int change = random.between(0, 3);
                    if (change == 0) strip.kept[i] ^= std::uint64_t{1} << (first + j);
                    if (change == 1 && i != j) {
                        std::uint64_t& row = strip.kept[i];
                        const std::uint64_t one = row >> (first + i) & 1U;
                        const std::uint64_t other = row >> (first + j) & 1U;
                        row ^= (one ^ other) << (first + i) | (one ^ other) << (first + j);
                    }
                    if (change == 2 && i != j) {
                        const std::uint64_t one = strip.kept[i] >> (first + i) & 1U;
                        const std::uint64_t other = strip.kept[j] >> (first + i) & 1U;
                        strip.kept[i] ^= (one ^ other) << (first + i);
                        strip.kept[j] ^= (one ^ other) << (first + i);
                    }
                    const Tile tile{m, m, pattern,
                                    std::vector<double>(static_cast<std::size_t>(m * m))};
                    if (!obeys_pattern(tile, flags_of(strip.kept, m, first / kW)))
                        expected |= std::uint64_t{1} << first / kW;
                }
                for (int i = 0; i < m; ++i)
                    for (int c = 0; c < kStripColumns; ++c)
                        strip.column_counts[c] = static_cast<std::int16_t>(
                            strip.column_counts[c] + (strip.kept[i] >> c & 1U));
                TNM_CHECK_EQUAL(isa::unbalanced_tiles<kW>(strip, pattern), expected);
            });
}

void test_counts_bits_of_fields() {
    Random random(5);
    for (int repeat = 0; repeat < 200; ++repeat) {
        std::uint64_t bits = random.bits();
        for (int k = random.between(0, 3); k > 0; --k) bits &= random.bits();
        if (repeat == 0) bits = ~std::uint64_t{0};
        TNM_CHECK_EQUAL(isa::popcount(bits), std::popcount(bits));
        for (const int m : {4, 8, 16, 32, 64})
            by_field_width(m, [&]<int kW>() {
                for (int first = 0; first < kStripColumns; first += kW) {
                    const std::uint64_t field = bits >> first & isa::kFieldMask<kW>;
                    const std::uint64_t counts = isa::field_counts<kW>(bits) >> first;
                    TNM_CHECK_EQUAL(counts & isa::kFieldMask<kW>,
                                    static_cast<std::uint64_t>(std::popcount(field)));
                    TNM_CHECK_EQUAL(isa::any_in_field<kW>(bits) >> first / kW & 1U,
                                    field != 0 ? 1U : 0U);
                    TNM_CHECK_EQUAL(isa::field_units<kW>() >> first & isa::kFieldMask<kW>, 1U);
                }
            });
    }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"keeps_what_exceeds_its_prices", test_keeps_what_exceeds_its_prices},
                         {"finds_unbalanced_tiles", test_finds_unbalanced_tiles},
                         {"counts_bits_of_fields", test_counts_bits_of_fields},
                     });
}

}  // namespace tnm::test
