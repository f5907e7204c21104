#include "fast_path/pipelines/strip_writer.hpp"

#include <cstring>

namespace tnm {

StripWriter::StripWriter(int m) : m_(m), field_(field_width(m)), store_(strip_kernels().store) {}

RowsInMemory StripWriter::rows(const StripPlace& place) const {
    return {reinterpret_cast<const std::byte*>(place.flags.data), place.flags.row_stride,
            kStripColumns, m_};
}

void StripWriter::write(const StripPlace& place, std::uint64_t* kept) const {
    const auto& [data, row_stride, column_stride] = place.flags;
    const int columns = place.tiles * m_;
    if (field_ != m_) close_gaps(kept, place.tiles);
    if (columns == kStripColumns) return store_(kept, m_, data, row_stride);
    for (int i = 0; i < m_; ++i) {
        std::uint8_t flags[kStripColumns];
        store_(kept + i, 1, flags, 0);
        std::memcpy(data + i * row_stride, flags, static_cast<std::size_t>(columns));
    }
}

// Moves the fields' bits together, without the padding between them.
void StripWriter::close_gaps(std::uint64_t* kept, int tiles) const {
    for (int i = 0; i < m_; ++i) {
        std::uint64_t together = 0;
        for (int tile = 0; tile < tiles; ++tile)
            together |= (kept[i] >> (tile * field_) & lowest_bits(m_)) << (tile * m_);
        kept[i] = together;
    }
}

}  // namespace tnm
