// A fuzzing entry point: any bytes are an array, a pattern and a method; whatever the solver
// answers has to hold.
//
// libFuzzer drives it where there is Clang; replay.cpp drives it anywhere.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "support/check.hpp"
#include "support/verify.hpp"
#include "tnm/finite.hpp"

namespace tnm::test {
namespace {

// Reads numbers off the input; zeros once it is used up.
class Reader {
  public:
    Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

    std::uint8_t byte() { return position_ < size_ ? data_[position_++] : std::uint8_t{0}; }
    int between(int low, int high) { return low + byte() % (high - low + 1); }
    std::uint64_t bits() {
        std::uint64_t bits = 0;
        for (int k = 0; k < 8; ++k) bits = bits << 8 | byte();
        return bits;
    }
    // Starts over, so that few bytes fill a large array.
    void rewind_if_used_up(std::size_t to) {
        if (position_ >= size_) position_ = std::min(to, size_);
    }
    std::size_t position() const { return position_; }

  private:
    const std::uint8_t* data_;
    std::size_t size_;
    std::size_t position_ = 0;
};

struct Problem {
    Pattern pattern;
    Score score;
    Method method;
    bool complete;
};

// Small tiles mostly; now and then large ones.
Pattern read_pattern(Reader& reader) {
    const int size = reader.byte();
    const int m = size < 200 ? 1 + size % 8 : size < 250 ? 9 + size % 32 : 41 + 29 * (size % 4);
    return {reader.between(1, m), m};
}

// Where the 12 decades that the values span begin; they end well below the largest double.
int read_exponent(Reader& reader, Dtype dtype) {
    const int lowest = dtype == Dtype::float64 ? -1080 : -150;
    return lowest + static_cast<int>(reader.bits() %
                                     static_cast<unsigned>(dtype == Dtype::float64 ? 2030 : 230));
}

// Any sign, 12 decades, now and then zero, rarely infinite.
double read_float(Reader& reader, int exponent) {
    const std::uint64_t bits = reader.bits();
    if (bits % 1009 == 1) return std::numeric_limits<double>::infinity();
    if (bits % 5 == 0) return 0.0;
    const double value = 1.0 + std::ldexp(static_cast<double>(bits >> 12), -52);
    return std::ldexp(bits & 64 ? -value : value, exponent + static_cast<int>(bits % 40));
}

Array read_array(Reader& reader, int m) {
    const auto dtype = kDtypes.begin()[reader.byte() % kDtypes.size()];
    const auto memory = kMemories.begin()[reader.byte() % kMemories.size()];
    const int most = m <= 40 ? 2 * m + 2 : m;
    const Shape shape = {reader.between(1, m <= 8 ? 3 : 1), reader.between(1, most),
                         reader.between(1, most)};
    Array array(dtype, shape, memory);
    const bool narrow = reader.byte() % 2 == 0;
    const int exponent = read_exponent(reader, dtype);
    const std::size_t start = reader.position();
    for (std::int64_t flat = 0; flat < array.size(); ++flat) {
        reader.rewind_if_used_up(start);
        // Bytes as numbers make for ties.
        if (narrow)
            array.set(flat, reader.byte() - 100.0);
        else if (is_integer(dtype))
            array.set_bits(flat, reader.bits());
        else
            array.set(flat, read_float(reader, exponent));
    }
    return array;
}

void check_refused(const Array& array, const Problem& problem) {
    MaskArray mask(array.shape());
    const Status status = transposable_mask(
        array.view(), mask.view(),
        {problem.pattern, problem.method, problem.score, problem.complete}, nullptr, Execution{});
    TNM_CHECK(status == Status::non_finite_score);
}

void check_approximation(const Array& array, const Problem& problem) {
    const auto& [pattern, score, method, complete] = problem;
    const auto tiles = tiles_of(array, pattern, score);
    const auto kept = tiles_of(solve(array.view(), {pattern, method, score, complete}), pattern.m);
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const Given given([&] { return tiles[t].description(); });
        TNM_CHECK(obeys_pattern(tiles[t], kept[t], complete));
    }
}

void check_one(Reader reader) {
    Problem problem{};
    problem.pattern = read_pattern(reader);
    problem.score = static_cast<Score>(reader.between(0, 2));
    problem.complete = reader.byte() % 2 == 0;
    const int choice = reader.byte();
    problem.method = choice < 200   ? Method::optimal
                     : choice < 230 ? Method::two_approximation
                                    : Method::greedy;
    const Array array = read_array(reader, problem.pattern.m);
    const Given given([&] {
        return join(array.description(), ", pattern ", problem.pattern.n, ":", problem.pattern.m);
    });
    std::optional<std::int64_t> non_finite;
    if (find_non_finite(array.view(), problem.score, non_finite, Execution{}) != Status::ok)
        std::abort();
    if (non_finite)
        check_refused(array, problem);
    else if (problem.method == Method::optimal)
        check_optimal(array, problem.pattern, problem.score);
    else
        check_approximation(array, problem);
}

}  // namespace
}  // namespace tnm::test

// A failed check leaves by an exception, which ends the fuzzer with the input saved.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tnm::test::check_one({data, size});
    return 0;
}
