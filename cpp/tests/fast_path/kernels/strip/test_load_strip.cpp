// Reading rows of neighbouring elements as scores.
#include "fast_path/kernels/strip/load_strip-inl.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "fast_path/kernels/strips.hpp"
#include "support/array.hpp"
#include "tiles/exact_scores.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

constexpr std::array kScores = {Score::abs, Score::square, Score::identity};
constexpr std::array kFloatDtypes = {Dtype::float16, Dtype::bfloat16, Dtype::float32,
                                     Dtype::float64};

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
LoadedStrip load(const Array& rows, Score score, int m, StripScores<T>& strip) {
    const auto row_stride = rows.shape()[1] * static_cast<std::int64_t>(item_size(rows.dtype()));
    return isa::loader<T>(rows.dtype(), score, m)(rows.bytes().data(), row_stride, m, strip);
}

// Tiles that double does not hold must be among the doubtful ones.
void check_doubts(const Array& rows, Score score, int m, std::uint64_t doubtful) {
    const FindInexact find_inexact = inexact_finder(rows.dtype(), score);
    if (find_inexact == nullptr) return;
    const int tiles = kStripColumns / field_width(m);
    const ArrayView view = rows.view();
    for (int tile = 0; tile < tiles; ++tile) {
        const bool is_doubtful = doubtful >> tile & 1;
        const std::int64_t item = view.strides.column_stride();
        const ElementBlock block{
            {view.data + tile * m * item, view.strides.row_stride(), item}, m, m};
        TNM_CHECK(is_doubtful || !find_inexact(block));
    }
}

template <class T>
void check(const Array& rows, Score score, int m) {
    const auto wanted = expected<T>(rows, score, m);
    auto strip = std::make_unique<StripScores<T>>();
    const LoadedStrip loaded = load(rows, score, m, *strip);
    check_doubts(rows, score, m, loaded.doubtful);
    // Roots of large squares are looked at one by one, as are NaN and infinity among them.
    if (rows.dtype() == Dtype::float64 && score == Score::square && loaded.doubtful != 0) return;
    TNM_CHECK_EQUAL(loaded.finite, wanted.has_value());
    if (!wanted) return;
    for (int k = 0; k < m * kStripColumns; ++k)
        TNM_CHECK_EQUAL(strip->values[k], (*wanted)->values[k]);
    for (int c = 0; c < kStripColumns; ++c)
        TNM_CHECK_EQUAL(strip->largest[c], (*wanted)->largest[c]);
}

void check(const Array& rows, int m) {
    for (const Score score : kScores) {
        const Given given([&] { return join(name_of(rows.dtype()), ", m = ", m); });
        if (fits_float(rows.dtype(), score))
            check<float>(rows, score, m);
        else
            check<double>(rows, score, m);
    }
}

void test_every_type_and_width() {
    Random random(18);
    for (const Dtype dtype : kDtypes)
        for (const Pattern pattern : kStripPatterns)
            for (const Distribution distribution :
                 {Distribution::heavy_tails, Distribution::denormal, Distribution::near_overflow,
                  Distribution::mostly_zero, Distribution::constant}) {
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
    for (const Dtype dtype : kFloatDtypes)
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

// A search tile by tile is slow: strips without anything special must not ask for one.
void test_ordinary_scores_are_not_doubtful() {
    Random random(20);
    for (const Dtype dtype : {Dtype::int32, Dtype::int64, Dtype::uint64, Dtype::float64})
        for (const int m : {4, 7, 8, 64})
            for (const Score score : kScores) {
                Array rows = rows_of_strip(dtype, m);
                for (std::int64_t k = 0; k < rows.size(); ++k)
                    rows.set(k, random.between(-1000000, 1000000));
                StripScores<double> strip;
                TNM_CHECK_EQUAL(load(rows, score, m, strip).doubtful, std::uint64_t{0});
            }
}

// One bit too many, in any place, of one tile.
void test_long_integers_are_doubtful() {
    Random random(21);
    for (const Dtype dtype : {Dtype::int64, Dtype::uint64})
        for (const Pattern pattern : kStripPatterns)
            for (const Score score : kScores) {
                const int m = pattern.m, bits = score == Score::square ? 24 : 47;
                Array rows = rows_of_strip(dtype, m);
                const int columns = static_cast<int>(rows.shape()[1]);
                const int tile = random.between(0, kStripColumns / field_width(m) - 1);
                const auto place = [&] {
                    return random.between(0, m - 1) * columns + tile * m + random.between(0, m - 1);
                };
                rows.set(place(), 1);
                rows.set(place(), std::ldexp(1.0, bits));
                StripScores<double> strip;
                check_doubts(rows, score, m, load(rows, score, m, strip).doubtful);
            }
}

void test_only_scores_of_its_own_type() {
    for (const Dtype dtype : kDtypes)
        for (const Score score : kScores)
            for (const Pattern pattern : kStripPatterns) {
                const bool is_float = fits_float(dtype, score);
                TNM_CHECK_EQUAL(isa::loader<float>(dtype, score, pattern.m) != nullptr, is_float);
                TNM_CHECK_EQUAL(isa::loader<double>(dtype, score, pattern.m) != nullptr, !is_float);
            }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"every_type_and_width", test_every_type_and_width},
                         {"every_half", test_every_half},
                         {"finds_what_is_not_finite", test_finds_what_is_not_finite},
                         {"ordinary_not_doubtful", test_ordinary_scores_are_not_doubtful},
                         {"long_integers_are_doubtful", test_long_integers_are_doubtful},
                         {"only_scores_of_its_own_type", test_only_scores_of_its_own_type},
                     });
}

}  // namespace tnm::test
