// From a matrix and its mask to the packed form: bits first, then where values begin, then values.
#include "parallel/guarded.hpp"
#include "products/bits_section.hpp"
#include "words/mask_words.hpp"

namespace tnm {

std::int64_t packed_bytes(const PackedShape& shape) {
    return PackedLayout(shape).bytes();
}

Status pack(const ElementsView& weights, const ConstMaskView& mask, const PackedShape& shape,
            std::byte* packed, const Execution& execution) {
    return guarded([&] {
        const auto write_words = [&](const WordPlace& place, std::uint64_t* words) {
            read_mask_words(mask.data + mask.strides.offset(0, place.row, place.column),
                            mask.strides.row_stride(), mask.strides.column_stride(), place.rows,
                            place.columns, words);
        };
        std::int64_t kept = 0;
        const Status status = write_bits_section(shape, packed, kept, execution, write_words);
        return status == Status::ok ? update_packed(weights, packed, execution) : status;
    });
}

}  // namespace tnm
