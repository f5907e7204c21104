// Arrays of every element type in every kind of memory layout, and masks to write to.
//
// Elements are addressed by their flat index in C order, however they lie in memory. Encoding and
// decoding share no code with the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "tnm/array_view.hpp"

namespace tnm::test {

using Shape = std::vector<std::int64_t>;

inline constexpr std::initializer_list<Dtype> kDtypes = {
    Dtype::boolean,  Dtype::int8,    Dtype::int16,   Dtype::int32,  Dtype::int64,
    Dtype::uint8,    Dtype::uint16,  Dtype::uint32,  Dtype::uint64, Dtype::float16,
    Dtype::bfloat16, Dtype::float32, Dtype::float64,
};

enum class Memory {
    contiguous,
    fortran,    // first axis fastest
    reversed,   // every stride negative
    sliced,     // gaps along every axis
    unaligned,  // fields of a packed record: odd address, odd strides
    mixed,      // columns of the matrix contiguous, rows backwards
};
inline constexpr std::initializer_list<Memory> kMemories = {
    Memory::contiguous, Memory::fortran,   Memory::reversed,
    Memory::sliced,     Memory::unaligned, Memory::mixed,
};

const char* name_of(Dtype dtype);
const char* name_of(Memory memory);
std::string name_of(const Shape& shape);
std::size_t item_size(Dtype dtype);
bool is_integer(Dtype dtype);
std::int64_t size_of(const Shape& shape);

// Written out field by field from the definition of the format.
double decode_float16(std::uint16_t bits);
double decode_bfloat16(std::uint16_t bits);

// Where the elements of an array lie in a buffer.
class Placement {
  public:
    Placement(const Shape& shape, std::size_t item, Memory memory);

    std::int64_t offset(std::int64_t flat) const;
    std::int64_t first() const { return first_; }
    std::size_t bytes() const { return bytes_; }
    const Strides& strides() const { return strides_; }
    // How many elements there are.
    std::int64_t size() const { return size_; }

  private:
    Strides strides_;
    std::int64_t first_ = 0, size_;
    std::size_t bytes_ = 0, item_;
    bool contiguous_;
};

class Array {
  public:
    Array(Dtype dtype, Shape shape, Memory memory = Memory::contiguous);

    Dtype dtype() const { return dtype_; }
    const Shape& shape() const { return shape_; }
    std::int64_t size() const { return placement_.size(); }
    // Rounds to the nearest element below or above; clamps to the type's finite range, except that
    // floating point types take NaN and infinity.
    void set(std::int64_t flat, double value);
    double get(std::int64_t flat) const;
    void set_bits(std::int64_t flat, std::uint64_t bits);
    std::uint64_t get_bits(std::int64_t flat) const;
    ArrayView view() const;
    const std::vector<std::byte>& bytes() const { return buffer_; }
    std::string description() const;

  private:
    std::byte* at(std::int64_t flat) { return buffer_.data() + placement_.offset(flat); }

    Dtype dtype_;
    Shape shape_;
    Memory memory_;
    Placement placement_;
    std::vector<std::byte> buffer_;
};

// The same elements with the last two axes exchanged.
ArrayView transposed(ArrayView view);

class MaskArray {
  public:
    explicit MaskArray(Shape shape, Memory memory = Memory::contiguous);

    const Shape& shape() const { return shape_; }
    std::int64_t size() const { return placement_.size(); }
    void set(std::int64_t flat, bool kept);
    // The flag's byte, as written.
    std::uint8_t get(std::int64_t flat) const { return buffer_[position(flat)]; }
    // Whether all flags are 0 or 1 and no byte between them was written.
    bool well_formed() const;
    MaskView view();
    ConstMaskView const_view() const;
    std::vector<std::uint8_t> flags() const;

  private:
    std::size_t position(std::int64_t flat) const {
        return static_cast<std::size_t>(placement_.offset(flat));
    }

    Shape shape_;
    Placement placement_;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace tnm::test
