// Masks of 4 x 4 tiles from memory to memory, a run of strips at a time.
#include "fast_path/kernels/four_by_four/run-inl.hpp"

#include <limits>

#include "fast_path/kernels/four_by_four/matrices.hpp"

namespace tnm::test {
namespace {

namespace isa = tnm::TNM_ISA;

constexpr std::array kPatterns = {Pattern{1, 4}, Pattern{2, 4}, Pattern{3, 4}};
constexpr int kStrips = 4;
constexpr int kColumns = kStrips * kStripColumns;

// Runs, and after every strip that is refused runs on behind it. Returns which were refused.
std::vector<bool> run(MaskRun kernel, const Array& matrix, MaskBytes& mask) {
    const auto strip_bytes = static_cast<std::int64_t>(kStripColumns * item_size(matrix.dtype()));
    std::vector<bool> refused(kStrips);
    for (int strip = 0; strip < kStrips; ++strip) {
        const int done =
            kernel(matrix.bytes().data() + strip * strip_bytes, kStrips * strip_bytes,
                   kStrips - strip, mask.bytes.data() + strip * kStripColumns, mask.row_stride);
        TNM_CHECK(0 <= done && done <= kStrips - strip);
        strip += done;
        if (strip < kStrips) refused[static_cast<std::size_t>(strip)] = true;
    }
    return refused;
}

int check(const Array& matrix, const Pattern& pattern, Score score, bool turned) {
    const MaskRun kernel = isa::four_by_four_run(pattern, matrix.dtype(), score, turned);
    if (kernel == nullptr) return 0;
    MaskBytes mask(4, kColumns);
    const std::vector<bool> refused = run(kernel, matrix, mask);
    TNM_CHECK(mask.gaps_are_untouched(kColumns));
    const std::vector<Tile> tiles = tiles_of(matrix, pattern, score);
    for (int strip = 0; strip < kStrips; ++strip) {
        const bool is_refused = refused[static_cast<std::size_t>(strip)];
        bool may_be = false;
        for (int column = strip * kStripColumns; column < (strip + 1) * kStripColumns;
             column += 4) {
            const Tile& tile = tiles[static_cast<std::size_t>(column / 4)];
            if (is_refused)
                may_be = may_be || may_be_refused(tile, matrix.dtype(), score);
            else
                check_tile(tile, mask.tile(0, column), turned);
        }
        TNM_CHECK_EQUAL(may_be, is_refused);
    }
    return static_cast<int>(std::count(refused.begin(), refused.end(), true));
}

void test_every_distribution() {
    Random random(13);
    int refused = 0, strips = 0;
    for (const Dtype dtype : kDtypes)
        for (const Score score : kScores)
            for (const Distribution distribution : kDistributions) {
                const Given given(
                    [&] { return join(name_of(dtype), ", ", name_of(distribution)); });
                Array matrix(dtype, {4, kColumns});
                fill(matrix, distribution, random);
                for (const Pattern pattern : kPatterns)
                    for (const bool turned : {false, true}) {
                        refused += check(matrix, pattern, score, turned);
                        strips += kStrips;
                    }
            }
    TNM_CHECK(0 < refused && refused < strips / 2);
}

void test_stops_at_what_is_not_finite() {
    Random random(14);
    for (const Dtype dtype : kClosedFormDtypes)
        for (const Score score : kScores)
            for (const double special :
                 {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
                  std::numeric_limits<double>::quiet_NaN()})
                for (int repeat = 0; repeat < 8; ++repeat) {
                    Array matrix(dtype, {4, kColumns});
                    fill(matrix, Distribution::normal, random);
                    const int strip = random.between(0, kStrips - 1);
                    matrix.set(random.between(0, 3) * kColumns + strip * kStripColumns +
                                   random.between(0, kStripColumns - 1),
                               special);
                    for (const Pattern pattern : kPatterns)
                        if (const MaskRun kernel =
                                isa::four_by_four_run(pattern, dtype, score, repeat % 2 == 0)) {
                            MaskBytes mask(4, kColumns);
                            TNM_CHECK(run(kernel, matrix, mask)[static_cast<std::size_t>(strip)]);
                        }
                }
}

// Values of both signs of which many tie, and zeros: doubles decide, unless a tile keeps no others.
void test_ties_of_both_signs() {
    Random random(15);
    int refused = 0;
    for (const Pattern pattern : kPatterns)
        for (int repeat = 0; repeat < 40; ++repeat) {
            Array matrix(Dtype::float32, {4, kColumns});
            const int low = random.between(-2, 0), high = random.between(0, 2);
            for (std::int64_t k = 0; k < 4 * kColumns; ++k)
                matrix.set(k, random.between(low, high));
            refused += check(matrix, pattern, Score::identity, repeat % 2 == 0);
        }
    TNM_CHECK(0 < refused && refused < 3 * 40 * kStrips / 2);
}

void test_which_there_are() {
    for (const Dtype dtype : kDtypes)
        for (const Score score : kScores) {
            for (const Pattern pattern : kPatterns) {
                const bool exact = dtype == Dtype::float16 ||
                                   (score != Score::square &&
                                    (dtype == Dtype::bfloat16 || dtype == Dtype::float32));
                for (const bool turned : {false, true})
                    TNM_CHECK_EQUAL(isa::four_by_four_run(pattern, dtype, score, turned) != nullptr,
                                    pattern.n == 2 || exact);
            }
            for (const Pattern other : {Pattern{4, 8}, Pattern{2, 3}})
                TNM_CHECK(isa::four_by_four_run(other, dtype, score, false) == nullptr);
        }
}

}  // namespace

int test_stage(int argc, char** argv) {
    return run_tests(argc, argv,
                     {
                         {"every_distribution", test_every_distribution},
                         {"stops_at_what_is_not_finite", test_stops_at_what_is_not_finite},
                         {"ties_of_both_signs", test_ties_of_both_signs},
                         {"which_there_are", test_which_there_are},
                     });
}

}  // namespace tnm::test
