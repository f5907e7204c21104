#include "fast_path/pipelines/strip_writer.hpp"

#include <cstring>

namespace tnm {

StripWriter::StripWriter(const SolveRequest& request)
    : mask_(request.mask),
      m_(request.pattern.m),
      field_(field_width(m_)),
      store_(strip_kernels().store) {}

std::uint8_t* StripWriter::first_flag(const StripPlace& place) const {
    return mask_.data +
           mask_.strides.offset(place.plane, place.tile_row * m_, place.tile_column * m_);
}

RowsInMemory StripWriter::rows(const StripPlace& place) const {
    if (mask_.strides.column_stride() != 1) return {};
    return {reinterpret_cast<const std::byte*>(first_flag(place)), mask_.strides.row_stride(),
            kStripColumns, m_};
}

void StripWriter::write(const StripPlace& place, std::uint64_t* kept) const {
    std::uint8_t* data = first_flag(place);
    const std::int64_t row_stride = mask_.strides.row_stride();
    const int columns = place.tiles * m_;
    if (field_ != m_) close_gaps(kept, place.tiles);
    if (mask_.strides.column_stride() == 1 && columns == kStripColumns)
        return store_(kept, m_, data, row_stride);
    for (int i = 0; i < m_; ++i) write_row(kept[i], columns, data + i * row_stride);
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

void StripWriter::write_row(std::uint64_t bits, int columns, std::uint8_t* data) const {
    const std::int64_t stride = mask_.strides.column_stride();
    std::uint8_t flags[kStripColumns];
    store_(&bits, 1, flags, 0);
    if (stride == 1) {
        std::memcpy(data, flags, static_cast<std::size_t>(columns));
    } else {
        for (int c = 0; c < columns; ++c) data[c * stride] = flags[c];
    }
}

}  // namespace tnm
