// New values for a packed matrix, and all of its values back.
#include <algorithm>
#include <bit>

#include "fast_path/strip_kernels.hpp"
#include "groups/element_lines.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "products/packed_layout.hpp"
#include "words/word_kernels.hpp"

namespace tnm {
namespace {

// The elements of a window in a matrix with any strides.
LineBlock lines_of(std::byte* data, const Strides& strides, const PackedLayout& layout,
                   std::int64_t block, std::int64_t window) {
    const std::int64_t row = window * kWindowRows, column = block * kBlockColumns;
    return {data + strides.offset(0, row, column), strides.row_stride(), strides.column_stride(),
            static_cast<int>(std::min(kWindowRows, layout.shape.rows - row)),
            static_cast<int>(std::min(kBlockColumns, layout.shape.columns - column))};
}

// Whether 64 elements of each line lie next to each other.
bool is_whole(const LineBlock& lines, std::int64_t item) {
    return lines.stride == item && lines.columns == kBlockColumns;
}

struct WindowWords {
    explicit WindowWords(const PackedWindow& window) : rows(static_cast<int>(window.rows)) {
        std::memcpy(words, window.words, static_cast<std::size_t>(rows) * sizeof *words);
    }
    int rows;
    std::uint64_t words[kWindowRows];
};

// One window of a block after another, from elements of a matrix with any strides.
class WindowUpdate {
  public:
    WindowUpdate(const ElementsView& weights, std::byte* packed)
        : weights_(weights),
          packed_(packed),
          reader_(packed),
          item_(value_bytes(reader_.shape().dtype)),
          copy_(weights.item_size) {}

    void update(std::int64_t block, std::int64_t window) {
        const PackedWindow place = reader_.window(block, window);
        const LineBlock given = lines_of(const_cast<std::byte*>(weights_.data), weights_.strides,
                                         reader_.layout(), block, window);
        const Lines lines = is_whole(given, item_) ? given.as_lines() : copy_.read(given);
        const WindowWords words(place);
        const auto& collect = word_kernels().elements_of(static_cast<int>(item_)).collect;
        const int roomy = rows_with_room(words);
        std::byte* target = packed_ + (place.values - packed_);
        target = collect(lines.data, lines.stride, words.words, roomy, target, 0);
        for (int row = roomy; row < words.rows; ++row) {
            std::byte values[(kBlockColumns + kElementsBeyond) * 4];
            const auto bytes = static_cast<std::size_t>(
                collect(lines[row], 0, words.words + row, 1, values, 0) - values);
            std::memcpy(target, values, bytes);
            target += bytes;
        }
    }

  private:
    // After which so many values of the window follow as may be written beyond.
    static int rows_with_room(const WindowWords& words) {
        int row = words.rows;
        for (int later = 0; row > 0 && later < kElementsBeyond;)
            later += std::popcount(words.words[--row]);
        return row;
    }

    const ElementsView& weights_;
    std::byte* packed_;
    PackedReader reader_;
    const std::int64_t item_;
    LineCopy copy_;
};

// One window of a block after another, to a matrix and a mask with any strides.
class WindowUnpacking {
  public:
    WindowUnpacking(const std::byte* packed, const MutableElementsView& weights,
                    const MaskView& mask)
        : reader_(packed),
          weights_(weights),
          mask_(mask),
          item_(value_bytes(reader_.shape().dtype)),
          copy_(weights.item_size),
          mask_copy_(1) {}

    void unpack(std::int64_t block, std::int64_t window) {
        const PackedWindow place = reader_.window(block, window);
        const WindowWords words(place);
        const auto write_values = [&](std::byte* data, std::int64_t stride) {
            word_kernels()
                .elements_of(static_cast<int>(item_))
                .spread(place.values, 0, words.words, words.rows, data, stride);
        };
        const auto write_flags = [&](std::byte* data, std::int64_t stride) {
            strip_kernels().store(words.words, words.rows, reinterpret_cast<std::uint8_t*>(data),
                                  stride);
        };
        const PackedLayout& layout = reader_.layout();
        write(lines_of(weights_.data, weights_.strides, layout, block, window), item_, copy_,
              write_values);
        write(lines_of(reinterpret_cast<std::byte*>(mask_.data), mask_.strides, layout, block,
                       window),
              1, mask_copy_, write_flags);
    }

  private:
    template <class Write>
    static void write(const LineBlock& lines, std::int64_t item, LineCopy& copy,
                      const Write& write_lines) {
        if (is_whole(lines, item)) return write_lines(lines.data, lines.line_stride);
        const Lines room = copy.room_for(lines);
        write_lines(room.data, room.stride);
        copy.write(lines);
    }

    PackedReader reader_;
    const MutableElementsView& weights_;
    const MaskView& mask_;
    const std::int64_t item_;
    LineCopy copy_, mask_copy_;
};
static_assert(kElementsBeyond * 4 <= kReadableBeyond);  // after the values of the last window

// Calls visit(block, window) for each, on several threads, each of which calls make_visitor().
template <class MakeVisitor>
Status each_window(const PackedLayout& layout, const Execution& execution,
                   const MakeVisitor& make_visitor) {
    constexpr std::int64_t kWindowsOfPiece = 16;
    const std::int64_t blocks = layout.blocks(), windows = blocks * layout.windows();
    const std::int64_t pieces = divide_up(windows, kWindowsOfPiece);
    return parallel_for(pieces, execution, [&]() -> Worker {
        return [=, visit = make_visitor()](std::int64_t piece) mutable {
            const std::int64_t end = std::min(windows, (piece + 1) * kWindowsOfPiece);
            for (std::int64_t k = piece * kWindowsOfPiece; k < end; ++k)
                visit(k % blocks, k / blocks);
            return Status::ok;
        };
    });
}

}  // namespace

Status update_packed(const ElementsView& weights, std::byte* packed, const Execution& execution) {
    const PackedLayout layout(shape_in(packed));
    return guarded([&] {
        return each_window(layout, execution, [&] {
            return [work = WindowUpdate(weights, packed)](std::int64_t block,
                                                          std::int64_t window) mutable {
                work.update(block, window);
            };
        });
    });
}

Status unpack(const std::byte* packed, const MutableElementsView& weights, const MaskView& mask,
              const Execution& execution) {
    const PackedLayout layout(shape_in(packed));
    return guarded([&] {
        return each_window(layout, execution, [&] {
            return [work = WindowUnpacking(packed, weights, mask)](std::int64_t block,
                                                                   std::int64_t window) mutable {
                work.unpack(block, window);
            };
        });
    });
}

}  // namespace tnm
