// From the bytes of a fuzzer's input to numbers, patterns and arrays.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "support/array.hpp"
#include "support/check.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"

namespace tnm::test {

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

// Small tiles mostly; now and then large ones.
inline Pattern read_pattern(Reader& reader) {
    const int size = reader.byte();
    const int m = size < 200 ? 1 + size % 8 : size < 250 ? 9 + size % 32 : 41 + 29 * (size % 4);
    return {reader.between(1, m), m};
}

// Where the 12 decades that the values span begin; they, or their squares, end well below the
// largest double, and squares above the smallest, so that the references can compute them.
inline int read_exponent(Reader& reader, Dtype dtype, Score score) {
    if (dtype != Dtype::float64) return -150 + static_cast<int>(reader.bits() % 230);
    if (score == Score::square) return -450 + static_cast<int>(reader.bits() % 850);
    return -1080 + static_cast<int>(reader.bits() % 2030);
}

// Any sign, 12 decades, now and then zero, rarely infinite.
inline double read_float(Reader& reader, int exponent) {
    const std::uint64_t bits = reader.bits();
    if (bits % 1009 == 1) return std::numeric_limits<double>::infinity();
    if (bits % 5 == 0) return 0.0;
    const double value = 1.0 + std::ldexp(static_cast<double>(bits >> 12), -52);
    return std::ldexp(bits & 64 ? -value : value, exponent + static_cast<int>(bits % 40));
}

inline Array read_array(Reader& reader, int m, Score score) {
    const auto dtype = kDtypes.begin()[reader.byte() % kDtypes.size()];
    const auto memory = kMemories.begin()[reader.byte() % kMemories.size()];
    const int most = m <= 40 ? 2 * m + 2 : m;
    const Shape shape = {reader.between(1, m <= 8 ? 3 : 1), reader.between(1, most),
                         reader.between(1, most)};
    Array array(dtype, shape, memory);
    const bool narrow = reader.byte() % 2 == 0;
    const int exponent = read_exponent(reader, dtype, score);
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

// Flags of any density; now and then all or none.
inline void read_mask(Reader& reader, MaskArray& mask) {
    const int density = reader.byte();
    const std::size_t start = reader.position();
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) {
        reader.rewind_if_used_up(start);
        mask.set(flat, reader.byte() < density);
    }
}

inline Execution read_execution(Reader& reader) {
    Execution execution;
    execution.threads = reader.between(0, 7) == 0 ? 3 : 1;
    return execution;
}

}  // namespace tnm::test
