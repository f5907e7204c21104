// Sums of scores against adding them up one by one.
#include "tnm/retained.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "support/array.hpp"
#include "support/check.hpp"
#include "support/random.hpp"

namespace tnm::test {
namespace {

constexpr std::initializer_list<Score> kScores = {Score::abs, Score::square, Score::identity};

double score_of(double value, Score score) {
    return score == Score::abs ? std::fabs(value) : score == Score::square ? value * value : value;
}

RetainedScore by_library(const Array& array, const MaskArray& mask, Score score, int threads = 1) {
    RetainedScore found;
    Execution execution;
    execution.threads = threads;
    TNM_CHECK(retained_score(array.view(), mask.const_view(), score, found, execution) ==
              Status::ok);
    return found;
}

bool same_bits(double a, double b) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

void check_same(const RetainedScore& a, const RetainedScore& b) {
    TNM_CHECK(same_bits(a.kept, b.kept) && same_bits(a.total, b.total));
    TNM_CHECK(same_bits(a.largest, b.largest));
    TNM_CHECK_EQUAL(a.kept_entries, b.kept_entries);
}

void check_against_reference(const Array& array, const MaskArray& mask, Score score) {
    const RetainedScore found = by_library(array, mask, score);
    long double kept = 0, total = 0, size = 0;
    double largest = 0;
    std::int64_t entries = 0;
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        const double value = array.get(flat), worth = score_of(value, score);
        total += worth;
        size += std::fabs(worth);
        largest = std::max(largest, std::fabs(value));
        if (mask.get(flat) == 0) continue;
        kept += worth;
        ++entries;
    }
    const auto allowed = static_cast<double>(size) * 1e-14;
    TNM_CHECK(std::fabs(static_cast<double>(found.total - total)) <= allowed);
    TNM_CHECK(std::fabs(static_cast<double>(found.kept - kept)) <= allowed);
    TNM_CHECK(found.largest == largest);
    TNM_CHECK_EQUAL(found.kept_entries, entries);
}

void fill(Array& array, MaskArray& mask, std::uint64_t seed) {
    Random random(seed);
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        // Over so many orders of magnitude that every order of additions rounds in its own way.
        array.set(flat, std::ldexp(random.normal(), random.between(-16, 12)));
        mask.set(flat, random.between(0, 2) == 0);
    }
}

// Narrow, wide, beyond a piece, of several planes, with axes of one, and of none that is a whole
// step.
const std::initializer_list<Shape> kShapes = {
    {5, 7},       {3, 64},   {2, 130, 64}, {70, 4, 4},   {3, 5, 33},
    {2, 70, 200}, {3, 4170}, {2, 3, 5, 6}, {3, 1, 5, 6}, {3, 1, 1, 65}};

void test_against_reference() {
    std::uint64_t seed = 1;
    for (const Shape& shape : kShapes)
        for (const Dtype dtype : kDtypes)
            for (const Score score : kScores) {
                Array array(dtype, shape);
                MaskArray mask(shape);
                fill(array, mask, ++seed);
                const Given given([&] { return array.description(); });
                check_against_reference(array, mask, score);
            }
}

void test_layout_changes_no_bit() {
    std::uint64_t seed = 1;
    for (const Shape& shape : kShapes)
        for (const Memory memory : kMemories)
            for (const Dtype dtype : {Dtype::int8, Dtype::bfloat16, Dtype::float32, Dtype::float64})
                for (const Memory of_mask : {memory, Memory::contiguous, Memory::fortran}) {
                    Array plain(dtype, shape), array(dtype, shape, memory);
                    MaskArray flags(shape), mask(shape, of_mask);
                    fill(plain, flags, ++seed);
                    fill(array, mask, seed);
                    const Given given(
                        [&] { return join(array.description(), ", mask ", name_of(of_mask)); });
                    check_same(by_library(array, mask, Score::square),
                               by_library(plain, flags, Score::square));
                }
}

// A part of planes whose axis of one lies as those of a whole array would.
void test_axes_of_one_may_have_any_stride() {
    const Shape shape{2, 1, 4, 64};
    Array whole(Dtype::float32, {2, 1, 8, 64}), part(Dtype::float32, shape);
    MaskArray flags({2, 1, 8, 64}), kept(shape);
    fill(whole, flags, 1);
    for (std::int64_t flat = 0; flat < part.size(); ++flat) {
        const std::int64_t from = flat / 256 * 512 + flat % 256;
        part.set(flat, whole.get(from));
        kept.set(flat, flags.get(from) != 0);
    }
    const RetainedScore expected = by_library(part, kept, Score::abs);
    ArrayView array = whole.view();
    ConstMaskView mask = flags.const_view();
    array.strides.shape[2] = mask.strides.shape[2] = 4;
    for (const std::int64_t stride : {std::int64_t{4}, std::int64_t{8}, std::int64_t{-3}}) {
        array.strides.bytes[1] = stride * array.strides.row_stride();
        mask.strides.bytes[1] = stride * mask.strides.row_stride();
        RetainedScore found;
        TNM_CHECK(retained_score(array, mask, Score::abs, found, {}) == Status::ok);
        check_same(found, expected);
    }
}

void test_threads_change_no_bit() {
    Array array(Dtype::float32, {3, 400, 700});
    MaskArray mask(array.shape());
    fill(array, mask, 1);
    for (const int threads : {2, 7})
        check_same(by_library(array, mask, Score::abs, threads),
                   by_library(array, mask, Score::abs));
}

void test_not_finite() {
    for (const double wrong :
         {std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()})
        for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64})
            for (const Score score : kScores)
                for (const bool is_kept : {false, true}) {
                    Array array(dtype, {3, 70});
                    MaskArray mask(array.shape());
                    fill(array, mask, 1);
                    array.set(150, wrong);
                    mask.set(150, is_kept);
                    RetainedScore found;
                    TNM_CHECK(retained_score(array.view(), mask.const_view(), score, found, {}) ==
                              Status::non_finite_score);
                }
}

void test_sums_too_large() {
    Array array(Dtype::float64, {1, 4});
    MaskArray mask(array.shape());
    for (std::int64_t flat = 0; flat < 4; ++flat) {
        array.set(flat, flat < 2 ? 1e200 : 3.0);
        mask.set(flat, flat == 2);
    }
    const RetainedScore found = by_library(array, mask, Score::square);
    TNM_CHECK(std::isinf(found.total) && found.kept == 9.0 && found.largest == 1e200);
    Array signs(Dtype::float64, {1, 64});
    MaskArray none(signs.shape());
    for (std::int64_t flat = 0; flat < 64; ++flat) {
        signs.set(flat, flat % 16 > 1 ? 0.0 : flat % 16 == 0 ? 1.5e308 : -1.5e308);
        none.set(flat, false);
    }
    TNM_CHECK(std::isnan(by_library(signs, none, Score::identity).total));
}

void test_empty() {
    for (const Shape& shape : {Shape{0, 4}, Shape{4, 0}, Shape{0, 4, 4}}) {
        const RetainedScore found =
            by_library(Array(Dtype::float32, shape), MaskArray(shape), Score::abs);
        check_same(found, {});
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"against_reference", test_against_reference},
                         {"layout_changes_no_bit", test_layout_changes_no_bit},
                         {"axes_of_one_may_have_any_stride", test_axes_of_one_may_have_any_stride},
                         {"threads_change_no_bit", test_threads_change_no_bit},
                         {"not_finite", test_not_finite},
                         {"sums_too_large", test_sums_too_large},
                         {"empty", test_empty},
                     });
}
