// What stages of the fast path get from those before them, and fields of it as the naive twins take
// them.
#pragma once

#include <cstdint>
#include <vector>

#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/transpose-inl.hpp"
#include "fast_path/kernels/strips.hpp"
#include "reference/fast_path/sweeps.hpp"

namespace tnm::test {

inline naive::Lines lines_of(const std::int16_t* lines, int width, int first) {
    naive::Lines result{width, {}};
    for (int line = 0; line < width; ++line)
        for (int lane = 0; lane < width; ++lane)
            result.values.push_back(lines[line * kStripColumns + first + lane]);
    return result;
}

inline std::vector<int> field_of(const std::int16_t* lanes, int width, int first) {
    return {lanes + first, lanes + first + width};
}

// `lines` of a padded strip: what is not one of the first m of its field is below all prices.
inline void draw_lines(int m, int range, Random& random, std::int16_t* lines) {
    const int width = field_width(m);
    for (int line = 0; line < width; ++line)
        for (int c = 0; c < kStripColumns; ++c)
            lines[line * kStripColumns + c] =
                static_cast<std::int16_t>(line < m && c % width < m ? random.between(-range, range)
                                                                    : -naive::kPriceBound - 1);
}

inline void draw_prices(int m, int range, Random& random, std::int16_t* prices) {
    for (int c = 0; c < kStripColumns; ++c)
        prices[c] =
            static_cast<std::int16_t>(c % field_width(m) < m ? random.between(-range, range) : 0);
}

// A strip with integers and prices.
template <class T>
struct PricedStrip {
    const StripScores<T>* scores;
    Pattern pattern;
    TNM_ISA::QuantizedStrip quantized;
    TNM_ISA::StripPrices prices;
    alignas(64) std::int16_t real_lanes[kStripColumns];

    const std::int16_t* real() const {
        return pattern.m < field_width(pattern.m) ? real_lanes : nullptr;
    }
    int price(int i, int c) const {
        const int width = field_width(pattern.m);
        return prices.rows[c / width * width + i] + prices.columns[c];
    }
};

// With the prices that sweeps start from.
template <int kW, class T>
std::unique_ptr<PricedStrip<T>> quantized_strip(const StripScores<T>& scores, Pattern pattern) {
    auto strip = std::make_unique<PricedStrip<T>>();
    strip->scores = &scores;
    strip->pattern = pattern;
    TNM_ISA::quantize<kW>(scores, pattern, strip->quantized);
    TNM_ISA::start_from_column_means<kW>(strip->quantized.by_row, strip->prices.columns);
    TNM_ISA::mark_real_lanes<kW>(pattern.m, strip->real_lanes);
    TNM_ISA::exclude_padding<kW>(pattern.m, strip->real_lanes, strip->quantized.by_row);
    TNM_ISA::transpose_tiles<kW>(strip->quantized.by_row, strip->quantized.by_column);
    return strip;
}

// With the prices that naive sweeps lead to.
template <int kW, class T>
std::unique_ptr<PricedStrip<T>> priced_strip(const StripScores<T>& scores, Pattern pattern) {
    auto strip = quantized_strip<kW>(scores, pattern);
    for (int first = 0; first < kStripColumns; first += kW) {
        const naive::Lines by_row = lines_of(strip->quantized.by_row, kW, first);
        const naive::Lines by_column = lines_of(strip->quantized.by_column, kW, first);
        std::vector<int> rows(kW), columns = field_of(strip->prices.columns, kW, first);
        for (const int overshoot_eighths : {0, 2, 0}) {
            const naive::SweepPlan plan{pattern.m, pattern.n, overshoot_eighths};
            naive::sweep_side(by_column, columns, plan, rows);
            naive::sweep_side(by_row, rows, plan, columns);
        }
        std::copy_n(rows.begin(), kW, strip->prices.rows + first);
        std::copy_n(columns.begin(), kW, strip->prices.columns + first);
    }
    return strip;
}

}  // namespace tnm::test
