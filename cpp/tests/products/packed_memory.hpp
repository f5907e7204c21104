// Packed matrices in memory of exactly their size, so that sanitizers see what is read beyond it.
#pragma once

#include <memory>

#include "support/array.hpp"
#include "support/random.hpp"
#include "tnm/products.hpp"

namespace tnm::test {

inline constexpr std::initializer_list<Dtype> kValueDtypes = {Dtype::float32, Dtype::bfloat16,
                                                              Dtype::float16};

enum class Kept { none, one, few, half, two_of_four, most, all };
inline constexpr std::initializer_list<Kept> kKept = {
    Kept::none, Kept::one, Kept::few, Kept::half, Kept::two_of_four, Kept::most, Kept::all,
};

// The mask of a matrix.
inline void keep(MaskArray& mask, Kept kind, Random& random) {
    const std::int64_t columns = mask.shape()[1];
    const int one = mask.size() == 0 ? 0 : random.between(0, static_cast<int>(mask.size()) - 1);
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) {
        const int draw = random.between(0, 9);
        const bool in_two = (flat % columns + flat / columns) % 4 < 2;
        mask.set(flat, kind == Kept::all || (kind == Kept::one && flat == one) ||
                           (kind == Kept::few && draw == 0) || (kind == Kept::half && draw < 5) ||
                           (kind == Kept::two_of_four && in_two) ||
                           (kind == Kept::most && draw < 9));
    }
}

inline void fill_normal(Array& array, Random& random) {
    for (std::int64_t flat = 0; flat < array.size(); ++flat) array.set(flat, random.normal());
}

inline ElementsView elements_of(const Array& array) {
    const ArrayView view = array.view();
    return {view.data, item_size(array.dtype()), view.strides};
}

inline MutableArrayView mutable_view(Array& array) {
    const ArrayView view = array.view();
    return {const_cast<std::byte*>(view.data), view.dtype, view.strides};
}

// `shift` bytes from where any type may lie.
class PackedMemory {
  public:
    explicit PackedMemory(std::int64_t bytes, int shift = 0)
        : size_(static_cast<std::size_t>(bytes)),
          shift_(shift),
          memory_(new std::byte[size_ + static_cast<std::size_t>(shift)]) {}

    std::byte* data() const { return memory_.get() + shift_; }
    std::size_t size() const { return size_; }

  private:
    std::size_t size_;
    int shift_;
    std::unique_ptr<std::byte[]> memory_;
};

inline PackedShape shape_for(const Array& weights, const MaskArray& mask) {
    std::int64_t kept = 0;
    for (std::int64_t flat = 0; flat < mask.size(); ++flat) kept += mask.get(flat);
    return {weights.shape()[0], weights.shape()[1], kept, weights.dtype()};
}

}  // namespace tnm::test
