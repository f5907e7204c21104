// Reading rows of neighbouring elements as scores.
#include "fast_path/kernels/strip/load_strip-inl.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "fast_path/kernels/strips.hpp"
#include "support/array.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

constexpr std::array kLoadedDtypes = {Dtype::float16, Dtype::bfloat16, Dtype::float32,
                                      Dtype::float64};

template <class T>
LoadStrip<T> loader(Dtype dtype, Score score, int m) {
    if constexpr (std::is_same_v<T, float>)
        return isa::float_loader(dtype, score, m);
    else
        return isa::double_loader(dtype, score, m);
}

// m rows of the tiles of one strip, and as much behind them as a loader may read.
Array rows_of_strip(Dtype dtype, int m) {
    const int width = field_width(m), tiles = kStripColumns / width;
    return Array(dtype, {m, tiles * m + width - m});
}

// What a loader has to make of it; nothing if some score is not finite.
template <class T>
std::optional<std::unique_ptr<StripScores<T>>> expected(const Array& rows, Score score, int m) {
    const std::int64_t columns = rows.shape()[1];
    const int width = field_width(m);
    bool finite = true;
    auto strip = make_strip<T>(m, [&](int i, int c) {
        const double value = rows.get(i * columns + c / width * m + c % width);
        finite = finite && std::isfinite(value);
        return score_of_value(value, score);
    });
    if (!finite) return std::nullopt;
    return strip;
}

template <class T>
bool loads(const Array& rows, Score score, int m, StripScores<T>& strip) {
    const auto row_stride = rows.shape()[1] * static_cast<std::int64_t>(item_size(rows.dtype()));
    return loader<T>(rows.dtype(), score, m)(rows.bytes().data(), row_stride, m, strip);
}

template <class T>
void check(const Array& rows, Score score, int m) {
    const auto wanted = expected<T>(rows, score, m);
    auto strip = std::make_unique<StripScores<T>>();
    TNM_CHECK_EQUAL(loads(rows, score, m, *strip), wanted.has_value());
    if (!wanted) return;
    for (int k = 0; k < m * kStripColumns; ++k)
        TNM_CHECK_EQUAL(strip->values[k], (*wanted)->values[k]);
    for (int c = 0; c < kStripColumns; ++c)
        TNM_CHECK_EQUAL(strip->largest[c], (*wanted)->largest[c]);
}

void check(const Array& rows, int m) {
    for (const Score score : {Score::abs, Score::identity}) {
        const Given given([&] { return join(name_of(rows.dtype()), ", m = ", m); });
        if (rows.dtype() == Dtype::float64)
            check<double>(rows, score, m);
        else
            check<float>(rows, score, m);
    }
}

void test_every_type_and_width() {
    Random random(18);
    for (const Dtype dtype : kLoadedDtypes)
        for (const Pattern pattern : kStripPatterns)
            for (const Distribution distribution :
                 {Distribution::heavy_tails, Distribution::denormal, Distribution::near_overflow}) {
                if (pattern.m > 16 && distribution != Distribution::heavy_tails) continue;
                Array rows = rows_of_strip(dtype, pattern.m);
                fill(rows, distribution, random);
                check(rows, pattern.m);
            }
}

// All 65,536 of them; each infinity and NaN in a strip of its own.
void test_every_half() {
    constexpr int m = 64;
    for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16})
        for (std::uint64_t first = 0; first < 65536; first += m * kStripColumns) {
            Array finite = rows_of_strip(dtype, m);
            for (std::int64_t k = 0; k < finite.size(); ++k) {
                const std::uint64_t bits = first + static_cast<std::uint64_t>(k);
                finite.set_bits(k, bits);
                if (std::isfinite(finite.get(k))) continue;
                finite.set_bits(k, 0);
                Array special = rows_of_strip(dtype, 4);
                for (std::int64_t other = 0; other < special.size(); ++other) special.set(other, 1);
                special.set_bits(k % special.size(), bits);
                check(special, 4);
            }
            check(finite, m);
        }
}

// In every place of a tile, and not in what lies behind the strip.
void test_finds_what_is_not_finite() {
    Random random(19);
    for (const Dtype dtype : kLoadedDtypes)
        for (const Pattern pattern : kStripPatterns)
            for (const double special :
                 {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                  std::numeric_limits<double>::quiet_NaN()}) {
                Array rows = rows_of_strip(dtype, pattern.m);
                fill(rows, Distribution::normal, random);
                const int columns = static_cast<int>(rows.shape()[1]);
                const int row = random.between(0, pattern.m - 1);
                rows.set(row * columns + random.between(0, columns - 1), special);
                check(rows, pattern.m);
            }
}

void test_only_what_it_is_made_for() {
    for (const Dtype dtype : kDtypes)
        for (const Score score : {Score::abs, Score::identity, Score::square}) {
            const bool is_float =
                dtype == Dtype::float16 || dtype == Dtype::bfloat16 || dtype == Dtype::float32;
            const bool made = score != Score::square;
            for (const Pattern pattern : kStripPatterns) {
                TNM_CHECK_EQUAL(isa::float_loader(dtype, score, pattern.m) != nullptr,
                                made && is_float);
                TNM_CHECK_EQUAL(isa::double_loader(dtype, score, pattern.m) != nullptr,
                                made && dtype == Dtype::float64);
            }
        }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"every_type_and_width", test_every_type_and_width},
                         {"every_half", test_every_half},
                         {"finds_what_is_not_finite", test_finds_what_is_not_finite},
                         {"only_what_it_is_made_for", test_only_what_it_is_made_for},
                     });
}

}  // namespace tnm::test
