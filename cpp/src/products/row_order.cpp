// Between the packed form and values and bits row by row, which do not depend on how we lay them
// out. A window of rows takes whole bytes of bits, so that threads share none.
#include <bit>
#include <cstring>

#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "products/bits_section.hpp"

namespace tnm {
namespace {

static_assert(kWindowRows % 8 == 0);

// Up to 64 bits that begin anywhere; `bytes` may be read.
std::uint64_t read_bits(const std::uint8_t* bits, std::int64_t bytes, std::int64_t first,
                        int count) {
    const std::int64_t byte = first / 8;
    const int shift = static_cast<int>(first % 8);
    std::uint64_t word = 0;
    std::memcpy(&word, bits + byte,
                static_cast<std::size_t>(std::min<std::int64_t>(8, bytes - byte)));
    word >>= shift;
    if (shift + count > 64) word |= std::uint64_t{bits[byte + 8]} << (64 - shift);
    return count == 64 ? word : word & ~(~std::uint64_t{0} << count);
}

// Bits one after another, to whole bytes.
class BitWriter {
  public:
    explicit BitWriter(std::uint8_t* target) : target_(target) {}
    void append(std::uint64_t bits, int count) {
        waiting_ |= bits << used_;
        if (used_ + count < 64) {
            used_ += count;
            return;
        }
        std::memcpy(target_, &waiting_, 8);
        target_ += 8;
        waiting_ = used_ == 0 ? 0 : bits >> (64 - used_);
        used_ += count - 64;
    }
    void finish() { std::memcpy(target_, &waiting_, static_cast<std::size_t>((used_ + 7) / 8)); }

  private:
    std::uint8_t* target_;
    std::uint64_t waiting_ = 0;
    int used_ = 0;
};

// Calls visit(row, block, word, at, in_rows, count) for the words of a window row by row: where its
// values begin in the packed form and in the order of rows, and how many there are.
template <class Visit>
void visit_rows(const PackedReader& reader, std::int64_t window, std::vector<std::int64_t>& next,
                const Visit& visit) {
    const std::int64_t blocks = reader.layout().blocks(), rows = reader.shape().rows;
    std::int64_t in_rows = 0;
    for (std::int64_t block = 0; block < blocks; ++block) {
        next[static_cast<std::size_t>(block)] = reader.begin(block, window);
        in_rows += reader.begin(block, window) - reader.begin(block, 0);
    }
    const std::int64_t end = std::min(rows, (window + 1) * kWindowRows);
    for (std::int64_t row = window * kWindowRows; row < end; ++row)
        for (std::int64_t block = 0; block < blocks; ++block) {
            const std::uint64_t word = reader.word(block, row);
            const int count = std::popcount(word);
            visit(block, word, next[static_cast<std::size_t>(block)], in_rows, count);
            next[static_cast<std::size_t>(block)] += count;
            in_rows += count;
        }
}

// Calls visit(window, space) for all windows, on several threads; `space`: a number for each block.
template <class Visit>
Status each_window(const PackedLayout& layout, const Execution& execution, const Visit& visit) {
    if (layout.windows() == 0) return Status::ok;  // there may be any number of blocks then
    return parallel_for(layout.windows(), execution, [&]() -> Worker {
        return [&, space = std::vector<std::int64_t>(static_cast<std::size_t>(layout.blocks()))](
                   std::int64_t window) mutable {
            visit(window, space);
            return Status::ok;
        };
    });
}

}  // namespace

Status rows_of_packed(const std::byte* packed, std::byte* values, std::uint8_t* bits,
                      const Execution& execution) {
    const PackedReader reader(packed);
    const PackedLayout& layout = reader.layout();
    const std::int64_t item = value_bytes(layout.shape.dtype), columns = layout.shape.columns;
    const std::byte* from = packed + layout.values_offset();
    return guarded([&] {
        return each_window(layout, execution, [&](std::int64_t window, auto& space) {
            BitWriter writer(bits + window * kWindowRows / 8 * columns);
            visit_rows(reader, window, space,
                       [&](std::int64_t block, std::uint64_t word, std::int64_t at,
                           std::int64_t in_rows, int count) {
                           writer.append(
                               word, static_cast<int>(
                                         std::min(kBlockColumns, columns - block * kBlockColumns)));
                           std::memcpy(values + in_rows * item, from + at * item,
                                       static_cast<std::size_t>(count * item));
                       });
            writer.finish();
        });
    });
}

Status pack_rows(const std::byte* values, const std::uint8_t* bits, const PackedShape& shape,
                 std::byte* packed, std::int64_t& kept, const Execution& execution) {
    const std::int64_t bytes = divide_up(shape.rows * shape.columns, 8);
    const std::int64_t item = value_bytes(shape.dtype);
    return guarded([&] {
        const auto write_words = [&](const WordPlace& place, std::uint64_t* words) {
            for (int r = 0; r < place.rows; ++r)
                words[r] = read_bits(bits, bytes, (place.row + r) * shape.columns + place.column,
                                     place.columns);
        };
        const Status status = write_bits_section(shape, packed, kept, execution, write_words);
        if (status != Status::ok) return status;
        const PackedReader reader(packed);
        std::byte* to = packed + reader.layout().values_offset();
        return each_window(reader.layout(), execution, [&](std::int64_t window, auto& space) {
            visit_rows(
                reader, window, space,
                [&](std::int64_t, std::uint64_t, std::int64_t at, std::int64_t in_rows, int count) {
                    std::memcpy(to + at * item, values + in_rows * item,
                                static_cast<std::size_t>(count * item));
                });
        });
    });
}

}  // namespace tnm
