// Shortest augmenting paths, from masks whose rows and columns keep too much or too little.
#include "fast_path/kernels/dual/augment-inl.hpp"

#include "fast_path/kernels/dual/prices.hpp"
#include "reference/fast_path/augment.hpp"
#include "reference/fast_path/threshold.hpp"
#include "reference/optimum.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

// Keeps what exceeds its prices.
template <int kW, class T>
isa::ThresholdedStrip thresholded(const PricedStrip<T>& strip) {
    isa::ThresholdedStrip result{};
    for (int i = 0; i < strip.pattern.m; ++i)
        for (int c = 0; c < kStripColumns; ++c) {
            if (c % kW >= strip.pattern.m) continue;
            const auto score = static_cast<double>(strip.scores->values[i * kStripColumns + c]);
            if (naive::compare(score, strip.price(i, c), strip.quantized.unit[c]) <= 0) continue;
            result.kept[i] |= std::uint64_t{1} << c;
            ++result.column_counts[c];
        }
    return result;
}

// A tile before it is balanced.
template <int kW, class T>
struct Unbalanced {
    const PricedStrip<T>& strip;
    const isa::ThresholdedStrip& kept;
    int first;
    Tile tile;
    naive::Balance start;

    Unbalanced(const PricedStrip<T>& priced, const isa::ThresholdedStrip& mask, int lane)
        : strip(priced),
          kept(mask),
          first(lane),
          tile(tile_of(*priced.scores, priced.pattern, lane / kW)) {
        start.kept = flags_of(mask.kept, tile.rows, lane / kW);
        const double unit = priced.quantized.unit[lane];
        for (int k = 0; k < tile.rows; ++k) {
            start.row_prices.push_back(priced.prices.rows[lane + k] * unit);
            start.column_prices.push_back(priced.prices.columns[lane + k] * unit);
        }
    }

    isa::TileAugmenter<kW, T> augmenter() const {
        return {strip.scores->values,       first, strip.pattern, kept, strip.prices,
                strip.quantized.unit[first]};
    }
};

template <int kW, class T>
naive::Balance result_of(const isa::TileAugmenter<kW, T>& augmenter, int m) {
    naive::Balance result;
    for (int i = 0; i < m; ++i) {
        for (int j = 0; j < m; ++j) result.kept.push_back(augmenter.kept(i) >> j & 1U);
        result.row_prices.push_back(augmenter.row_price(i));
        result.column_prices.push_back(augmenter.column_price(i));
    }
    return result;
}

// Calls check(unbalanced tile) for tiles from which something is missing: with the prices that
// sweeps propose, and for small tiles with those that they start from, where more is.
template <class Check>
void for_each_tile(Check&& check) {
    int tiles = 0;
    for_each_strip(1, [&]<int kW, class T>(const StripScores<T>& scores, Pattern pattern) {
        const auto check_tiles = [&](const PricedStrip<T>& strip) {
            const isa::ThresholdedStrip kept = thresholded<kW>(strip);
            for (int first = 0; first < kStripColumns; first += kW) {
                if (strip.quantized.out_of_range >> first & 1U) continue;
                const Unbalanced<kW, T> tile(strip, kept, first);
                const Given given([&] { return tile.tile.description(); });
                if (tile.start.missing(tile.tile) > 0) check(tile), ++tiles;
            }
        };
        check_tiles(*priced_strip<kW>(scores, pattern));
        if (kW <= 16) {
            const auto strip = quantized_strip<kW>(scores, pattern);
            std::fill_n(strip->prices.rows, kStripColumns, std::int16_t{0});
            check_tiles(*strip);
        }
    });
    TNM_CHECK(tiles > 100);
}

double magnitude_of(const Tile& tile) {
    double largest = 0.0;
    for (const double score : tile.scores) largest = std::max(largest, std::fabs(score));
    return largest;
}

void check_optimal(const Tile& tile, const naive::Balance& result) {
    TNM_CHECK(obeys_pattern(tile, result.kept));
    TNM_CHECK(naive::worst_violation(tile, result) <= std::ldexp(magnitude_of(tile), -44));
    const auto integers = as_integers(tile);
    if (!integers || tile.rows > 5) return;
    const auto best = static_cast<long double>(best_by_flow(tile, *integers));
    TNM_CHECK_EQUAL(total(tile, result.kept), std::ldexp(best, integers->exponent));
}

void test_equals_its_twin() {
    for_each_tile([]<int kW, class T>(const Unbalanced<kW, T>& unbalanced) {
        const Tile& tile = unbalanced.tile;
        auto augmenter = unbalanced.augmenter();
        TNM_CHECK(augmenter.balance(2 * tile.rows * tile.rows));
        const naive::Balance result = result_of(augmenter, tile.rows);
        naive::Balance expected = unbalanced.start;
        naive::augment(tile, expected);
        TNM_CHECK(result.kept == expected.kept);
        TNM_CHECK(result.row_prices == expected.row_prices);
        TNM_CHECK(result.column_prices == expected.column_prices);
        check_optimal(tile, result);
    });
}

void test_limits_and_ties() {
    for_each_tile([]<int kW, class T>(const Unbalanced<kW, T>& unbalanced) {
        const int m = unbalanced.tile.rows, missing = unbalanced.start.missing(unbalanced.tile);
        auto augmenter = unbalanced.augmenter();
        TNM_CHECK(!augmenter.balance(missing - 1) && !augmenter.balance_ties(missing - 1));
        TNM_CHECK(result_of(augmenter, m).kept == unbalanced.start.kept);
        TNM_CHECK(result_of(augmenter, m).row_prices == unbalanced.start.row_prices);
        TNM_CHECK(augmenter.balance(missing));
        // Many units at a time.
        auto other = unbalanced.augmenter();
        TNM_CHECK(other.balance_ties(missing));
        check_optimal(unbalanced.tile, result_of(other, m));
    });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"equals_its_twin", test_equals_its_twin},
                         {"limits_and_ties", test_limits_and_ties},
                     });
}

}  // namespace tnm::test
