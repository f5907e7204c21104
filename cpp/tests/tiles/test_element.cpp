// Reading elements: every pattern of the 16-bit formats, and what is not finite.
//
// With 1:1 masks every element is a tile, and the certificate's primal value is its score.
#include <cmath>
#include <limits>

#include "support/check.hpp"
#include "support/verify.hpp"
#include "tnm/finite.hpp"

namespace tnm::test {
namespace {

std::vector<double> scores_of(const Array& array, const Pattern& pattern, Score score) {
    Certificate certificate(static_cast<std::size_t>(array.size()), pattern.m);
    CertificateView view = certificate.view();
    solve(array.view(), {pattern, Method::optimal, score}, 1, &view);
    return certificate.primal;
}

double decode(Dtype dtype, std::uint16_t bits) {
    return dtype == Dtype::float16 ? decode_float16(bits) : decode_bfloat16(bits);
}

void check_finite_patterns(Dtype dtype) {
    std::vector<std::uint16_t> finite;
    for (int bits = 0; bits < 65536; ++bits) {
        const auto pattern = static_cast<std::uint16_t>(bits);
        if (std::isfinite(decode(dtype, pattern))) finite.push_back(pattern);
    }
    Array array(dtype, {static_cast<std::int64_t>(finite.size()), 1});
    for (std::size_t k = 0; k < finite.size(); ++k)
        array.set_bits(static_cast<std::int64_t>(k), finite[k]);
    for (const Score score : {Score::identity, Score::abs, Score::square}) {
        const auto scores = scores_of(array, {1, 1}, score);
        for (std::size_t k = 0; k < finite.size(); ++k) {
            const Given given([&] { return join(name_of(dtype), " pattern ", finite[k]); });
            TNM_CHECK_EQUAL(scores[k], score_of_value(decode(dtype, finite[k]), score));
        }
    }
}

void test_float16_finite() {
    check_finite_patterns(Dtype::float16);
}

void test_bfloat16_finite() {
    check_finite_patterns(Dtype::bfloat16);
}

std::optional<std::int64_t> first_non_finite(const Array& array) {
    std::optional<std::int64_t> first;
    TNM_CHECK(find_non_finite(array.view(), first, Execution{}) == Status::ok);
    return first;
}

// All NaN and both infinities are found, and nothing else.
void check_other_patterns(Dtype dtype) {
    Array array(dtype, {1, 3});
    MaskArray mask(array.shape());
    for (int bits = 0; bits < 65536; ++bits) {
        const Given given([&] { return join(name_of(dtype), " pattern ", bits); });
        array.set(0, 0.0);
        array.set(1, 1.0);
        array.set_bits(2, static_cast<std::uint64_t>(bits));
        const bool finite = std::isfinite(decode(dtype, static_cast<std::uint16_t>(bits)));
        const auto found = first_non_finite(array);
        TNM_CHECK(found.has_value() != finite);
        if (found) TNM_CHECK_EQUAL(*found, 2);
        if (finite) continue;
        const Status status =
            transposable_mask(array.view(), mask.view(), {{2, 4}}, nullptr, Execution{});
        TNM_CHECK(status == Status::non_finite_score);
    }
}

void test_float16_non_finite() {
    check_other_patterns(Dtype::float16);
}

void test_bfloat16_non_finite() {
    check_other_patterns(Dtype::bfloat16);
}

// Wherever it hides: in full tiles and at the edge, alone or with a later one.
void test_non_finite_is_found_anywhere() {
    const double infinity = std::numeric_limits<double>::infinity();
    for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64})
        for (const Memory memory : kMemories)
            for (const int m : {4, 8, 16})
                for (std::int64_t at = 0; at < 2 * 9 * 70; at += 211) {
                    Array array(dtype, {2, 9, 70}, memory);
                    for (std::int64_t flat = 0; flat < array.size(); ++flat) array.set(flat, 0.5);
                    array.set(at, at % 3 ? (at % 2 ? infinity : -infinity) : std::nan(""));
                    array.set(array.size() - 1, infinity);
                    const Given given([&] { return join(array.description(), ", entry ", at); });
                    MaskArray mask(array.shape());
                    for (const Method method :
                         {Method::optimal, Method::two_approximation, Method::greedy})
                        TNM_CHECK(transposable_mask(array.view(), mask.view(), {{m / 2, m}, method},
                                                    nullptr,
                                                    Execution{}) == Status::non_finite_score);
                    const auto found = first_non_finite(array);
                    TNM_CHECK(found.has_value());
                    TNM_CHECK_EQUAL(*found, at);
                }
}

// Their squares are beyond what double holds, at either end.
void test_squares_beyond_double() {
    for (const double size : {1e-300, 1e-160, 1e155, 1e300}) {
        Array array(Dtype::float64, {8, 8});
        for (std::int64_t flat = 0; flat < 64; ++flat)
            array.set(flat, flat % 9 == 0 ? -2 * size : size);
        TNM_CHECK(!first_non_finite(array));
        const TransposableOptions options{{1, 4}, Method::optimal, Score::square};
        MaskArray mask(array.shape());
        TNM_CHECK(transposable_mask(array.view(), mask.view(), options, nullptr, Execution{}) ==
                  Status::ok);
        for (std::int64_t flat = 0; flat < 64; flat += 9) TNM_CHECK_EQUAL(mask.get(flat), 1);
    }
}

// The first one counts, whichever thread comes upon one first.
void test_threads_find_the_first() {
    Array array(Dtype::float32, {2, 700, 300}, Memory::fortran);
    for (std::int64_t flat = 0; flat < array.size(); ++flat) array.set(flat, 1.0);
    for (const std::int64_t first : {419999, 300001, 210000, 17, 0}) {
        array.set(first, std::nan(""));
        for (const int threads : {1, 2, 7}) {
            Execution execution;
            execution.threads = threads;
            std::optional<std::int64_t> found;
            TNM_CHECK(find_non_finite(array.view(), found, execution) == Status::ok);
            TNM_CHECK(found.has_value());
            TNM_CHECK_EQUAL(*found, first);
        }
    }
}

void test_integers_are_finite() {
    for (const Dtype dtype : kDtypes) {
        Array array(dtype, {4, 4});
        for (std::int64_t flat = 0; flat < 16; ++flat)
            array.set_bits(flat, is_integer(dtype) ? ~std::uint64_t{0} : 0);
        TNM_CHECK(!first_non_finite(array));
    }
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"float16_finite", test_float16_finite},
                         {"bfloat16_finite", test_bfloat16_finite},
                         {"float16_non_finite", test_float16_non_finite},
                         {"bfloat16_non_finite", test_bfloat16_non_finite},
                         {"non_finite_is_found_anywhere", test_non_finite_is_found_anywhere},
                         {"squares_beyond_double", test_squares_beyond_double},
                         {"threads_find_the_first", test_threads_find_the_first},
                         {"integers_are_finite", test_integers_are_finite},
                     });
}
