#include "tnm/finite.hpp"

#include <cmath>

#include "tiles/element.hpp"

namespace tnm {
namespace {

template <class T>
std::optional<std::int64_t> find_in(const ArrayView& array, Score score) {
    const Layout& layout = array.layout;
    const std::int64_t rows = layout.rows(), columns = layout.columns();
    std::int64_t index = 0;
    for (std::int64_t plane = 0; plane < layout.planes(); ++plane) {
        const std::byte* base = array.data + layout.plane_offset(plane);
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::byte* row = base + i * layout.row_stride();
            for (std::int64_t j = 0; j < columns; ++j, ++index) {
                const T element = load_element<T>(row + j * layout.column_stride());
                if (!std::isfinite(score_of(to_double(element), score))) return index;
            }
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::int64_t> find_non_finite(const ArrayView& array, Score score) {
    switch (array.dtype) {
        case Dtype::float16:
            return find_in<Float16>(array, score);
        case Dtype::bfloat16:
            return find_in<Bfloat16>(array, score);
        case Dtype::float32:
            return find_in<float>(array, score);
        case Dtype::float64:
            return find_in<double>(array, score);
        default:
            return std::nullopt;
    }
}

}  // namespace tnm
