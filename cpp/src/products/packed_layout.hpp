// How a packed matrix lies in memory.
//
//     header | begins | bits | values
//
// Columns are taken in blocks of 64, so that a row of a block is a word of bits: bit j says that
// column j is kept. Words lie block after block, in each the rows from top to bottom; values lie in
// the order of the bits. Rows are taken in windows, and `begins` says which value is the first of a
// window of a block, so that any of them can be multiplied by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tnm/products.hpp"

namespace tnm {

inline constexpr std::int64_t kBlockColumns = 64;
inline constexpr std::int64_t kWindowRows = 64;
inline constexpr std::int64_t kWindowEntries = kWindowRows * kBlockColumns;
// Vector loads may read so far beyond the last value.
inline constexpr std::int64_t kReadableBeyond = 64;

struct PackedHeader {
    std::uint64_t magic;
    std::int64_t rows;
    std::int64_t columns;
    std::int64_t kept;
    std::int64_t dtype;
    std::int64_t reserved[3];
};
static_assert(sizeof(PackedHeader) == 64);
inline constexpr std::uint64_t kPackedMagic = 0x31'4b'43'41'50'4d'4e'54;  // changes with the layout

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return (a + b - 1) / b;
}

constexpr std::int64_t value_bytes(Dtype dtype) {
    return dtype == Dtype::float32 ? 4 : 2;
}

struct PackedLayout {
    explicit constexpr PackedLayout(const PackedShape& packed) : shape(packed) {}

    constexpr std::int64_t blocks() const { return divide_up(shape.columns, kBlockColumns); }
    constexpr std::int64_t windows() const { return divide_up(shape.rows, kWindowRows); }
    constexpr std::int64_t begins_offset() const { return sizeof(PackedHeader); }
    constexpr std::int64_t bits_offset() const {
        return begins_offset() + (blocks() * windows() + 1) * 8;
    }
    constexpr std::int64_t values_offset() const {
        return divide_up(bits_offset() + blocks() * shape.rows * 8, 64) * 64;
    }
    constexpr std::int64_t bytes() const {
        return values_offset() + shape.kept * value_bytes(shape.dtype) + kReadableBeyond;
    }

    PackedShape shape;
};

// Of memory that pack() wrote.
inline PackedShape shape_in(const std::byte* packed) {
    PackedHeader header;
    std::memcpy(&header, packed, sizeof header);
    return {header.rows, header.columns, header.kept, static_cast<Dtype>(header.dtype)};
}

// What a window of a block holds: its words and its first value.
struct PackedWindow {
    const std::byte* words;
    const std::byte* values;
    std::int64_t rows;
    std::int64_t kept;
};

// Reading a packed matrix. Nothing in it need be aligned.
class PackedReader {
  public:
    explicit PackedReader(const std::byte* packed) : data_(packed), layout_(shape_in(packed)) {}

    const PackedLayout& layout() const { return layout_; }
    const PackedShape& shape() const { return layout_.shape; }

    std::int64_t begin(std::int64_t block, std::int64_t window) const {
        return begin_at(block * layout_.windows() + window);
    }
    std::int64_t begin_at(std::int64_t index) const {
        std::int64_t begin = 0;
        std::memcpy(&begin, data_ + layout_.begins_offset() + index * 8, 8);
        return begin;
    }
    std::uint64_t word(std::int64_t block, std::int64_t row) const {
        std::uint64_t word = 0;
        std::memcpy(&word, words(block, row), 8);
        return word;
    }
    const std::byte* words(std::int64_t block, std::int64_t row) const {
        return data_ + layout_.bits_offset() + (block * shape().rows + row) * 8;
    }
    PackedWindow window(std::int64_t block, std::int64_t window) const {
        const std::int64_t index = block * layout_.windows() + window;
        const std::int64_t row = window * kWindowRows;
        const std::int64_t rows_left = shape().rows - row;
        return {words(block, row),
                data_ + layout_.values_offset() + begin_at(index) * value_bytes(shape().dtype),
                rows_left < kWindowRows ? rows_left : kWindowRows,
                begin_at(index + 1) - begin_at(index)};
    }

  private:
    const std::byte* data_;
    PackedLayout layout_;
};

}  // namespace tnm
