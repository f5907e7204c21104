#include "tnm/finite.hpp"

#include <algorithm>
#include <type_traits>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "tiles/element.hpp"

namespace tnm {
namespace {

constexpr std::int64_t kElementsPerRange = 65536;

// Neighbours along one row of a matrix.
struct RowSegment {
    const std::byte* data = nullptr;
    std::int64_t stride = 0;
    std::int64_t count = 0;
};

// All exponent bits of a type; NaN and infinity are what has them all set.
template <class T>
struct Exponent;
template <>
struct Exponent<Float16> : std::integral_constant<std::uint16_t, 0x7c00> {};
template <>
struct Exponent<Bfloat16> : std::integral_constant<std::uint16_t, 0x7f80> {};
template <>
struct Exponent<float> : std::integral_constant<std::uint32_t, 0x7f800000> {};
template <>
struct Exponent<double> : std::integral_constant<std::uint64_t, 0x7ff0000000000000> {};

// Integers of the element's size in a plain loop: what the compiler turns into vectors.
template <class T>
bool all_neighbours_finite(const std::byte* data, std::int64_t count) {
    using Bits = typename Exponent<T>::value_type;
    Bits found = 0;
    for (std::int64_t j = 0; j < count; ++j) {
        const auto bits = load_element<Bits>(data + j * static_cast<std::int64_t>(sizeof(Bits)));
        found |= (bits & Exponent<T>::value) == Exponent<T>::value ? Bits{1} : Bits{0};
    }
    return found == 0;
}

template <class T>
bool is_finite_at(const std::byte* address) {
    return all_neighbours_finite<T>(address, 1);
}

template <class T>
bool all_finite(const RowSegment& segment) {
    if (segment.stride == sizeof(T)) return all_neighbours_finite<T>(segment.data, segment.count);
    bool finite = true;
    for (std::int64_t j = 0; j < segment.count; ++j)
        finite &= is_finite_at<T>(segment.data + j * segment.stride);
    return finite;
}

template <class T>
std::int64_t count_before_non_finite(const RowSegment& segment) {
    if (all_finite<T>(segment)) return segment.count;
    std::int64_t j = 0;
    // Others may change the array meanwhile.
    while (j < segment.count && is_finite_at<T>(segment.data + j * segment.stride)) ++j;
    return j;
}

using CountBefore = std::int64_t (*)(const RowSegment& segment);

CountBefore counter_of(Dtype dtype) {
    switch (dtype) {
        case Dtype::float16:
            return count_before_non_finite<Float16>;
        case Dtype::bfloat16:
            return count_before_non_finite<Bfloat16>;
        case Dtype::float32:
            return count_before_non_finite<float>;
        case Dtype::float64:
            return count_before_non_finite<double>;
        default:
            return nullptr;
    }
}

RowSegment segment_at(const ArrayView& array, std::int64_t begin, std::int64_t end) {
    const Strides& strides = array.strides;
    const std::int64_t column = begin % strides.columns(), line = begin / strides.columns();
    return {array.data + strides.offset(line / strides.rows(), line % strides.rows(), column),
            strides.column_stride(), std::min(end - begin, strides.columns() - column)};
}

}  // namespace

Status find_non_finite(const ArrayView& array, std::optional<std::int64_t>& first,
                       const Execution& execution) {
    first.reset();
    const CountBefore count_before = counter_of(array.dtype);
    if (count_before == nullptr) return Status::ok;
    const Strides& strides = array.strides;
    const std::int64_t elements = strides.planes() * strides.rows() * strides.columns();
    FirstFound found;
    const auto search = [&](std::int64_t begin, std::int64_t end) {
        while (begin < end && !found.precedes(begin)) {
            const RowSegment segment = segment_at(array, begin, end);
            const std::int64_t finite = count_before(segment);
            if (finite < segment.count) found.report(begin + finite);
            begin += segment.count;
        }
        return Status::ok;
    };
    const Status status =
        guarded([&] { return parallel_ranges(elements, kElementsPerRange, execution, search); });
    first = found.get();
    return status;
}

}  // namespace tnm
