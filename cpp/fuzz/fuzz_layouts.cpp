// Any bytes are an array of any layout and dtype, and a mask of any layout: what the optimal and
// the row-wise solver write there is what they write for the same numbers as contiguous doubles.
//
// Shapes reach over several strips, and past their ends, so that every road is taken.
#include <cstring>
#include <iterator>

#include "reader.hpp"
#include "support/verify.hpp"
#include "tnm/rowwise.hpp"
#include "tnm/transposable.hpp"

namespace tnm::test {
namespace {

constexpr std::int64_t kMostEntries = 24000, kStripColumns = 64;

struct Problem {
    Pattern pattern;
    Score score;
    bool rowwise;
    bool observed;  // with a certificate
    Execution execution;
};

// The m of the fields, those next to them, and any; n = m / 2 mostly.
Pattern read_size(Reader& reader) {
    constexpr int kCommon[] = {4, 4, 8, 16, 32, 64, 3, 5, 12, 20, 48};
    const int choice = reader.byte(), other = reader.byte();
    const int common = kCommon[static_cast<std::size_t>(choice) % std::size(kCommon)];
    const int m = choice < 240 ? common : 1 + other % kMaxM;
    return {other % 3 == 0 ? reader.between(1, m) : std::max(1, m / 2), m};
}

// Alone or in batches, narrow, or a few strips wide.
Shape read_shape(Reader& reader, int m) {
    const int kind = reader.byte();
    const auto extent = [&](bool strips) {
        const int past = reader.between(0, m), tiles = reader.between(0, 2);
        return strips ? kStripColumns * reader.between(1, 3) + (past % 4 == 0 ? past : 0)
                      : std::max(1, m * tiles + (past % 2 == 0 ? past : 0));
    };
    Shape shape = {1 + kind / 4 % 4, extent((kind & 1) != 0), extent((kind & 2) != 0)};
    while (shape[0] > 1 && size_of(shape) > kMostEntries) --shape[0];
    while (size_of(shape) > kMostEntries) shape[1] = (shape[1] + 1) / 2;
    return shape;
}

// Small integers, which tie, or all the bits that an element has.
void read_values(Reader& reader, Score score, Array& array) {
    const bool narrow = reader.byte() % 2 == 0, bits = is_integer(array.dtype());
    const int exponent = read_exponent(reader, array.dtype(), score), zeros = reader.byte();
    const std::size_t start = reader.position();
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        reader.rewind_if_used_up(start);
        if (narrow) {
            const int value = reader.byte();
            array.set(flat, value < zeros ? 0.0 : value - 100.0);
        } else if (bits) {
            array.set_bits(flat, reader.bits());
        } else {
            array.set(flat, read_float(reader, exponent));
        }
    }
}

// Where double does not hold every score, and integers are solved exactly.
bool has_exact_scores(Dtype dtype, Score score) {
    return is_integer(dtype) && item_size(dtype) * (score == Score::square ? 2 : 1) >= 8;
}

std::uint64_t bits_of(const Array& array, std::int64_t flat) {
    const ArrayView view = array.view();
    const std::int64_t rows = view.strides.rows(), columns = view.strides.columns();
    std::uint64_t bits = 0;
    std::memcpy(&bits,
                view.data + view.strides.offset(flat / columns / rows, flat / columns % rows,
                                                flat % columns),
                item_size(array.dtype()));
    return bits;
}

// The same numbers as contiguous doubles, or of the same type if those are other scores.
Array in_order(const Array& array, Score score) {
    const bool exact = has_exact_scores(array.dtype(), score);
    Array copy(exact ? array.dtype() : Dtype::float64, array.shape());
    for (std::int64_t flat = 0; flat < array.size(); ++flat)
        exact ? copy.set_bits(flat, bits_of(array, flat)) : copy.set(flat, array.get(flat));
    return copy;
}

std::int64_t tiles_along(std::int64_t extent, int m) {
    return (extent + m - 1) / m;
}

Status solve(const Array& array, MaskArray& mask, const Problem& problem) {
    const auto& [pattern, score, rowwise, observed, execution] = problem;
    if (rowwise) return nm_mask(array.view(), mask.view(), pattern, score, execution);
    const TransposableOptions options{pattern, Method::optimal, score, true};
    if (!observed) return transposable_mask(array.view(), mask.view(), options, nullptr, execution);
    const auto tiles =
        static_cast<std::size_t>(array.shape()[0] * tiles_along(array.shape()[1], pattern.m) *
                                 tiles_along(array.shape()[2], pattern.m));
    Certificate certificate(tiles, pattern.m);
    const CertificateView proof = certificate.view();
    return transposable_mask(array.view(), mask.view(), options, &proof, execution);
}

void check_one(Reader reader) {
    Problem problem{};
    problem.pattern = read_size(reader);
    problem.score = static_cast<Score>(reader.between(0, 2));
    const int choice = reader.byte();
    problem.rowwise = choice % 4 == 0;
    problem.observed = choice % 8 == 1;
    const Execution execution = read_execution(reader);
    const auto dtype = kDtypes.begin()[reader.byte() % kDtypes.size()];
    const auto from = kMemories.begin()[reader.byte() % kMemories.size()];
    const auto to = kMemories.begin()[reader.byte() % kMemories.size()];
    Array array(dtype, read_shape(reader, problem.pattern.m), from);
    read_values(reader, problem.score, array);
    const Given given([&] {
        return join(array.description(), ", mask ", name_of(to), ", pattern ", problem.pattern.n,
                    ":", problem.pattern.m, ", score ", static_cast<int>(problem.score),
                    problem.rowwise ? ", row-wise" : "", problem.observed ? ", observed" : "");
    });

    MaskArray expected(array.shape()), mask(array.shape(), to);
    const Status plain = solve(in_order(array, problem.score), expected, problem);
    problem.execution = execution;
    const Status status = solve(array, mask, problem);
    TNM_CHECK(status == plain);
    if (status != Status::ok) return;
    TNM_CHECK(mask.well_formed());
    TNM_CHECK(mask.flags() == expected.flags());
}

}  // namespace
}  // namespace tnm::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
