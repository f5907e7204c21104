// From scores to 16-bit integers.
#include "fast_path/kernels/dual/quantize-inl.hpp"

#include "fast_path/kernels/strips.hpp"
#include "reference/fast_path/quantize.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

template <class T>
constexpr naive::ExponentRange kRange = {isa::ScoreTraits<T>::kLeastExponent,
                                         isa::ScoreTraits<T>::kLargestExponent};

template <int kW, class T>
std::unique_ptr<isa::QuantizedStrip> quantized(const StripScores<T>& strip, Pattern pattern) {
    auto result = std::make_unique<isa::QuantizedStrip>();
    isa::quantize<kW>(strip, pattern, *result);
    return result;
}

// Calls check(tile, its first lane, the quantized strip) for tiles in range.
template <class Check>
void for_each_tile(Check&& check) {
    for_each_strip(5, [&]<int kW, class T>(const StripScores<T>& strip, Pattern pattern) {
        const auto result = quantized<kW>(strip, pattern);
        for (int first = 0; first < kStripColumns; first += kW) {
            const Tile tile = tile_of(strip, pattern, first / kW);
            const Given given([&] { return tile.description(); });
            const naive::QuantizedTile expected = naive::quantize(tile, kW, kRange<T>);
            for (int k = 0; k < kW; ++k) {
                TNM_CHECK_EQUAL(expected.out_of_range ? 1U : 0U,
                                result->out_of_range >> (first + k) & 1U);
                TNM_CHECK_EQUAL(expected.wide ? 1U : 0U, result->wide >> (first + k) & 1U);
            }
            if (!expected.out_of_range) check(tile, expected, first, *result);
        }
    });
}

void test_equals_its_twin() {
    for_each_tile([](const Tile& tile, const naive::QuantizedTile& expected, int first,
                     const isa::QuantizedStrip& result) {
        const int m = tile.rows, width = field_width(m);
        for (int i = 0; i < width; ++i)
            for (int j = 0; j < width; ++j) {
                const bool real = i < m && j < m;
                const int entry = real ? expected.scores[static_cast<std::size_t>(i * m + j)] : 0;
                TNM_CHECK_EQUAL(result.by_row[i * kStripColumns + first + j], entry);
            }
        for (int k = 0; k < width; ++k) TNM_CHECK_EQUAL(result.unit[first + k], expected.unit);
    });
}

// Whatever the scale is: a power of two, no score rounded away from zero, none off by a unit unless
// it is clamped, and none out of order.
void test_rounds_towards_zero() {
    for_each_tile([](const Tile& tile, const naive::QuantizedTile&, int first,
                     const isa::QuantizedStrip& result) {
        const double unit = result.unit[first];
        int exponent = 0;
        TNM_CHECK_EQUAL(std::frexp(unit, &exponent), 0.5);
        for (int i = 0; i < tile.rows; ++i)
            for (int j = 0; j < tile.columns; ++j) {
                const int entry = result.by_row[i * kStripColumns + first + j];
                const double size = std::fabs(tile(i, j)), restored = std::abs(entry) * unit;
                TNM_CHECK(restored <= size);
                TNM_CHECK(entry == 0 || (entry < 0) == (tile(i, j) < 0));
                TNM_CHECK(size < restored + unit || std::abs(entry) == isa::kPriceBound);
            }
    });
}

// Tiles of zeros are in range, and so are all scores from the least exponent to the largest.
void test_ends_of_the_range() {
    const auto out_of_range = []<class T>(int exponent, T) {
        const auto strip = make_strip<T>(
            4, [&](int, int c) { return c < 4 ? std::ldexp(T{0.75}, exponent) : T{0}; });
        return quantized<4>(*strip, Pattern{2, 4})->out_of_range;
    };
    const auto check_ends = [&]<class T>(T zero) {
        const auto [least, largest] = kRange<T>;
        TNM_CHECK_EQUAL(out_of_range(least, zero), 0U);
        TNM_CHECK_EQUAL(out_of_range(largest, zero), 0U);
        TNM_CHECK_EQUAL(out_of_range(least - 1, zero), 15U);
        TNM_CHECK_EQUAL(out_of_range(largest + 1, zero), 15U);
    };
    check_ends(0.0F);
    check_ends(0.0);
}

// Floats and the same scores as doubles get the same integers.
void test_does_not_depend_on_the_type() {
    for_each_strip(3, [&]<int kW, class T>(const StripScores<T>& strip, Pattern pattern) {
        if constexpr (std::is_same_v<T, float>) {
            const auto wide = make_strip<double>(
                pattern.m, [&](int i, int c) { return strip.values[i * kStripColumns + c]; });
            const auto of_floats = quantized<kW>(strip, pattern);
            const auto of_doubles = quantized<kW>(*wide, pattern);
            for (int c = 0; c < kStripColumns; ++c) {
                if (of_floats->out_of_range >> c & 1U) continue;
                TNM_CHECK_EQUAL(of_floats->unit[c], of_doubles->unit[c]);
                for (int i = 0; i < kW; ++i)
                    TNM_CHECK_EQUAL(of_floats->by_row[i * kStripColumns + c],
                                    of_doubles->by_row[i * kStripColumns + c]);
            }
        }
    });
}

// Padding lies below everything that is compared with a price.
void test_padding_is_excluded() {
    for_each_strip(1, []<int kW, class T>(const StripScores<T>& strip, Pattern pattern) {
        const auto result = quantized<kW>(strip, pattern);
        alignas(64) std::int16_t real_lanes[kStripColumns];
        isa::mark_real_lanes<kW>(pattern.m, real_lanes);
        auto padded = std::make_unique<isa::QuantizedStrip>(*result);
        isa::exclude_padding<kW>(pattern.m, real_lanes, padded->by_row);
        for (int i = 0; i < kW; ++i)
            for (int c = 0; c < kStripColumns; ++c) {
                const bool real = i < pattern.m && c % kW < pattern.m;
                TNM_CHECK_EQUAL(real_lanes[c], c % kW < pattern.m ? -1 : 0);
                const int entry = result->by_row[i * kStripColumns + c];
                TNM_CHECK_EQUAL(padded->by_row[i * kStripColumns + c],
                                real ? entry : -isa::kPriceBound - 1);
            }
    });
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"equals_its_twin", test_equals_its_twin},
                         {"rounds_towards_zero", test_rounds_towards_zero},
                         {"ends_of_the_range", test_ends_of_the_range},
                         {"does_not_depend_on_the_type", test_does_not_depend_on_the_type},
                         {"padding_is_excluded", test_padding_is_excluded},
                     });
}

}  // namespace tnm::test
