#include "support/array.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "support/check.hpp"

namespace tnm::test {
namespace {

constexpr std::uint8_t kUnwritten = 0xee;

template <class T>
void put(std::byte* address, T value) {
    std::memcpy(address, &value, sizeof value);
}

template <class T>
T take(const std::byte* address) {
    T value;
    std::memcpy(&value, address, sizeof value);
    return value;
}

template <class T>
T nearest_integer(double value) {
    const double low = static_cast<double>(std::numeric_limits<T>::min());
    const double high = static_cast<double>(std::numeric_limits<T>::max());
    if (value <= low) return std::numeric_limits<T>::min();
    if (value >= high) return std::numeric_limits<T>::max();
    return static_cast<T>(std::nearbyint(value));
}

float nearest_float(double value) {
    const double high = std::numeric_limits<float>::max();
    return static_cast<float>(std::isinf(value) ? value : std::clamp(value, -high, high));
}

// The finite patterns of a 16-bit format ascend with their values: bisect for the last one that is
// not above the magnitude.
std::uint16_t encode_16_bits(double value, std::uint16_t infinity,
                             double (*decode)(std::uint16_t bits)) {
    const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
    if (std::isnan(value)) return static_cast<std::uint16_t>(infinity + 1);
    if (std::isinf(value)) return static_cast<std::uint16_t>(sign | infinity);
    std::uint16_t low = 0, high = infinity;
    while (high - low > 1) {
        const auto middle = static_cast<std::uint16_t>((low + high) / 2);
        (decode(middle) <= std::fabs(value) ? low : high) = middle;
    }
    return static_cast<std::uint16_t>(sign | low);
}

std::vector<int> axes_from_fastest(int rank, Memory memory) {
    std::vector<int> axes(static_cast<std::size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
    if (memory == Memory::mixed)
        std::rotate(axes.begin(), axes.end() - 2, axes.end());
    else if (memory != Memory::fortran)
        std::reverse(axes.begin(), axes.end());
    return axes;
}

bool backwards(int axis, int rank, Memory memory) {
    return memory == Memory::reversed || (memory == Memory::mixed && axis == rank - 2);
}

}  // namespace

const char* name_of(Dtype dtype) {
    static constexpr const char* kNames[] = {
        "bool",   "int8",   "int16",   "int32",    "int64",   "uint8",   "uint16",
        "uint32", "uint64", "float16", "bfloat16", "float32", "float64",
    };
    return kNames[static_cast<int>(dtype)];
}

const char* name_of(Memory memory) {
    static constexpr const char* kNames[] = {
        "contiguous", "fortran", "reversed", "sliced", "unaligned", "mixed",
    };
    return kNames[static_cast<int>(memory)];
}

std::string name_of(const Shape& shape) {
    std::string text;
    for (const std::int64_t extent : shape) text += join(text.empty() ? "" : "x", extent);
    return text;
}

std::size_t item_size(Dtype dtype) {
    switch (dtype) {
        case Dtype::boolean:
        case Dtype::int8:
        case Dtype::uint8:
            return 1;
        case Dtype::int16:
        case Dtype::uint16:
        case Dtype::float16:
        case Dtype::bfloat16:
            return 2;
        case Dtype::int32:
        case Dtype::uint32:
        case Dtype::float32:
            return 4;
        default:
            return 8;
    }
}

bool is_integer(Dtype dtype) {
    return dtype < Dtype::float16;
}

std::int64_t size_of(const Shape& shape) {
    return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

double decode_float16(std::uint16_t bits) {
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024 + fraction, exponent - 25);
}

double decode_bfloat16(std::uint16_t bits) {
    const int exponent = (bits >> 7) & 255, fraction = bits & 127;
    const double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 255)
        return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    if (exponent == 0) return sign * std::ldexp(fraction, -133);
    return sign * std::ldexp(128 + fraction, exponent - 134);
}

Placement::Placement(const Shape& shape, std::size_t item, Memory memory)
    : size_(size_of(shape)), item_(item), contiguous_(memory == Memory::contiguous) {
    const int rank = static_cast<int>(shape.size());
    strides_.rank = rank;
    std::copy(shape.begin(), shape.end(), strides_.shape.begin());
    const std::int64_t odd = memory == Memory::unaligned ? 1 : 0;
    std::int64_t extent = static_cast<std::int64_t>(item) + odd, span = 0;
    first_ = odd;
    for (const int axis : axes_from_fastest(rank, memory)) {
        const std::int64_t count = shape[static_cast<std::size_t>(axis)];
        const std::int64_t stride = extent * (memory == Memory::sliced ? 2 : 1);
        const std::int64_t length = stride * std::max<std::int64_t>(0, count - 1);
        extent = stride * std::max<std::int64_t>(1, count);
        span += length;
        if (backwards(axis, rank, memory)) first_ += length;
        strides_.bytes[static_cast<std::size_t>(axis)] =
            backwards(axis, rank, memory) ? -stride : stride;
    }
    if (size_ == 0)
        first_ = 0;
    else
        bytes_ = static_cast<std::size_t>(span + odd) + item;
}

std::int64_t Placement::offset(std::int64_t flat) const {
    // Tests without optimization spend their time here.
    if (contiguous_) return first_ + flat * static_cast<std::int64_t>(item_);
    std::int64_t offset = first_;
    for (int axis = strides_.rank - 1; axis >= 0; --axis) {
        const auto a = static_cast<std::size_t>(axis);
        offset += flat % strides_.shape[a] * strides_.bytes[a];
        flat /= strides_.shape[a];
    }
    return offset;
}

Array::Array(Dtype dtype, Shape shape, Memory memory)
    : dtype_(dtype),
      shape_(std::move(shape)),
      memory_(memory),
      placement_(shape_, item_size(dtype), memory),
      // NaN in every floating point format, so that reading a gap shows.
      buffer_(placement_.bytes(), std::byte{0xff}) {}

void Array::set(std::int64_t flat, double value) {
    switch (dtype_) {
        case Dtype::boolean:
            return put<std::uint8_t>(at(flat), value != 0.0);
        case Dtype::int8:
            return put(at(flat), nearest_integer<std::int8_t>(value));
        case Dtype::int16:
            return put(at(flat), nearest_integer<std::int16_t>(value));
        case Dtype::int32:
            return put(at(flat), nearest_integer<std::int32_t>(value));
        case Dtype::int64:
            return put(at(flat), nearest_integer<std::int64_t>(value));
        case Dtype::uint8:
            return put(at(flat), nearest_integer<std::uint8_t>(value));
        case Dtype::uint16:
            return put(at(flat), nearest_integer<std::uint16_t>(value));
        case Dtype::uint32:
            return put(at(flat), nearest_integer<std::uint32_t>(value));
        case Dtype::uint64:
            return put(at(flat), nearest_integer<std::uint64_t>(value));
        case Dtype::float16:
            return put(at(flat), encode_16_bits(value, 0x7c00, decode_float16));
        case Dtype::bfloat16:
            return put(at(flat), encode_16_bits(value, 0x7f80, decode_bfloat16));
        case Dtype::float32:
            return put(at(flat), nearest_float(value));
        case Dtype::float64:
            return put(at(flat), value);
    }
}

double Array::get(std::int64_t flat) const {
    const std::byte* address = buffer_.data() + placement_.offset(flat);
    switch (dtype_) {
        case Dtype::boolean:
            return take<std::uint8_t>(address) != 0 ? 1.0 : 0.0;
        case Dtype::int8:
            return take<std::int8_t>(address);
        case Dtype::int16:
            return take<std::int16_t>(address);
        case Dtype::int32:
            return take<std::int32_t>(address);
        case Dtype::int64:
            return static_cast<double>(take<std::int64_t>(address));
        case Dtype::uint8:
            return take<std::uint8_t>(address);
        case Dtype::uint16:
            return take<std::uint16_t>(address);
        case Dtype::uint32:
            return take<std::uint32_t>(address);
        case Dtype::uint64:
            return static_cast<double>(take<std::uint64_t>(address));
        case Dtype::float16:
            return decode_float16(take<std::uint16_t>(address));
        case Dtype::bfloat16:
            return decode_bfloat16(take<std::uint16_t>(address));
        case Dtype::float32:
            return static_cast<double>(take<float>(address));
        case Dtype::float64:
            break;
    }
    return take<double>(address);
}

void Array::set_bits(std::int64_t flat, std::uint64_t bits) {
    // Little endian: the low bytes come first.
    std::memcpy(at(flat), &bits, item_size(dtype_));
}

std::uint64_t Array::get_bits(std::int64_t flat) const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, buffer_.data() + placement_.offset(flat), item_size(dtype_));
    return bits;
}

ArrayView Array::view() const {
    return {buffer_.data() + placement_.first(), dtype_, placement_.strides()};
}

std::string Array::description() const {
    return join(name_of(dtype_), " array of shape ", name_of(shape_), ", ", name_of(memory_));
}

ArrayView transposed(ArrayView view) {
    const auto last = static_cast<std::size_t>(view.strides.rank - 1);
    std::swap(view.strides.shape[last - 1], view.strides.shape[last]);
    std::swap(view.strides.bytes[last - 1], view.strides.bytes[last]);
    return view;
}

MaskArray::MaskArray(Shape shape, Memory memory)
    : shape_(std::move(shape)),
      placement_(shape_, 1, memory),
      buffer_(placement_.bytes(), kUnwritten) {}

void MaskArray::set(std::int64_t flat, bool kept) {
    buffer_[position(flat)] = kept ? 1 : 0;
}

bool MaskArray::well_formed() const {
    std::vector<std::uint8_t> gaps = buffer_;
    for (std::int64_t flat = 0; flat < size(); ++flat) {
        if (gaps[position(flat)] > 1) return false;
        gaps[position(flat)] = kUnwritten;
    }
    return std::all_of(gaps.begin(), gaps.end(), [](std::uint8_t b) { return b == kUnwritten; });
}

MaskView MaskArray::view() {
    return {buffer_.data() + placement_.first(), placement_.strides()};
}

ConstMaskView MaskArray::const_view() const {
    return {buffer_.data() + placement_.first(), placement_.strides()};
}

std::vector<std::uint8_t> MaskArray::flags() const {
    std::vector<std::uint8_t> flags(static_cast<std::size_t>(size()));
    for (std::int64_t flat = 0; flat < size(); ++flat)
        flags[static_cast<std::size_t>(flat)] = get(flat);
    return flags;
}

}  // namespace tnm::test
