// Tiles whose scores span many orders of magnitude.
//
// Beside the largest score, 16 bits see few of the others, however they are scaled. Floats see them
// all: the same sweeps, at half the pace, and a threshold in double.
#pragma once

#include "fast_path/kernels/dual/price_sweeps-inl.hpp"
#include "fast_path/kernels/dual/quantize-inl.hpp"
#include "fast_path/kernels/dual/threshold-inl.hpp"
#include "fast_path/kernels/dual/transpose-inl.hpp"

namespace tnm::TNM_ISA {

struct alignas(64) WideStrip {
    float by_row[kLargestStripM * kStripColumns];  // every tile scaled to magnitudes below 1
    float by_column[kLargestStripM * kStripColumns];
    double unit[kStripColumns];  // as in QuantizedStrip
    PricesOf<float> prices;
    ThresholdedStrip thresholded;
};

template <int kW, class T>
inline void scale_to_floats(const StripScores<T>& scores, Pattern pattern, WideStrip& strip) {
    alignas(64) typename ScoreTraits<T>::Bits exponents[kStripColumns];
    alignas(64) T scales[kStripColumns];
    std::uint64_t out_of_range;
    find_exponents<kW>(scores.largest, exponents, out_of_range);
    find_scales<T>(exponents, 0, scales);
    find_units(exponents, 0, strip.unit);
    for (int i = 0; i < kW; ++i)
        for (int c = 0; c < kStripColumns; ++c)
            strip.by_row[i * kStripColumns + c] =
                static_cast<float>(scores.values[i * kStripColumns + c] * scales[c]);
    // Padding is below everything.
    if (pattern.m < kW)
        for (int i = 0; i < kW; ++i)
            for (int c = 0; c < kStripColumns; ++c)
                if (i >= pattern.m || c % kW >= pattern.m)
                    strip.by_row[i * kStripColumns + c] = -__builtin_inff();
    transpose_tiles<kW, Floats>(strip.by_row, strip.by_column);
}

// Like sweep_side; `share` is a factor here.
template <int kW, int kN>
inline void sweep_side_of_floats(const float* lines, const float* other_prices, Pattern pattern,
                                 float share, float* prices) {
    for (int first = 0; first < kStripColumns; first += kLanes<Floats>) {
        Floats values[kW];
        subtract_prices<kW>(lines, other_prices, first, values);
        const auto nth = select_neighbours<kW>(values, kN > 0 ? kN : pattern.n);
        const Floats target = (nth.upper + nth.lower) * 0.5F;
        store(prices + first, target + (target - load<Floats>(prices + first)) * share);
    }
    if (pattern.m < kW)
        for (int c = 0; c < kStripColumns; ++c)
            if (c % kW >= pattern.m) prices[c] = 0.0F;
}

// Measured, not derived.
template <int kW>
inline constexpr int kWideSweeps = kW >= 16 ? 6 : 5;

template <int kW, int kN>
inline void propose_float_prices(Pattern pattern, WideStrip& strip) {
    for (int c = 0; c < kStripColumns; ++c) strip.prices.rows[c] = strip.prices.columns[c] = 0.0F;
    for (int sweep = 0; sweep < kWideSweeps<kW>; ++sweep) {
        const float share = sweep == 0 || sweep == kWideSweeps<kW> - 1 ? 0.0F : 0.25F;
        sweep_side_of_floats<kW, kN>(strip.by_column, strip.prices.columns, pattern, share,
                                     strip.prices.rows);
        sweep_side_of_floats<kW, kN>(strip.by_row, strip.prices.rows, pattern, share,
                                     strip.prices.columns);
    }
}

// Keeps what the augmenting paths, too, find to be worth more than its prices.
template <int kW, class T>
inline void threshold_in_double(const T* scores, Pattern pattern, WideStrip& strip) {
    alignas(64) double rows[kStripColumns], columns[kStripColumns];
    for (int c = 0; c < kStripColumns; ++c) {
        rows[c] = strip.prices.rows[c] * strip.unit[c];
        columns[c] = strip.prices.columns[c] * strip.unit[c];
    }
    std::uint64_t real = 0;
    for (int j = 0; j < pattern.m; ++j) real |= field_units<kW>() << j;
    for (int i = 0; i < kW; ++i) strip.thresholded.kept[i] = 0;
    for (int first = 0; first < kStripColumns; first += kLanes<Doubles>) {
        const Doubles column = load<Doubles>(columns + first);
        Int64s counts{};
        for (int i = 0; i < pattern.m; ++i) {
            Doubles row;
            for (int l = 0; l < kLanes<Doubles>; ++l) row[l] = rows[(first + l) / kW * kW + i];
            const Int64s above =
                ((load_doubles(scores + i * kStripColumns + first) - row) - column) > 0.0;
            counts -= above;
            strip.thresholded.kept[i] |= (bits_of(above) << first) & real;
        }
        for (int l = 0; l < kLanes<Doubles>; ++l)
            strip.thresholded.column_counts[first + l] = static_cast<std::int16_t>(counts[l]);
    }
}

}  // namespace tnm::TNM_ISA
