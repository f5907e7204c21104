// Asking for memory while there is other work to do.
//
// Strips are short pieces of rows that lie far apart, which the hardware does not see coming. All
// requests at once would queue up; a few between any two steps of the work cost nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tnm {

// Pieces of memory of the same length and distance.
struct RowsInMemory {
    const std::byte* data = nullptr;
    std::int64_t row_stride = 0, row_bytes = 0;
    int rows = 0;
};

class Prefetcher {
  public:
    Prefetcher() = default;
    Prefetcher(RowsInMemory to_read, RowsInMemory to_write)
        : to_read_(to_read), to_write_(to_write) {}

    __attribute__((always_inline)) void prefetch(int rows) {
        for (; rows > 0; --rows) {
            prefetch_row(to_read_);
            prefetch_row(to_write_);
        }
    }

  private:
    __attribute__((always_inline)) static void prefetch_row(RowsInMemory& rows) {
        constexpr std::uintptr_t kCacheLine = 64;
        if (rows.rows == 0) return;
        // The first and last line may be shared with what lies around.
        const std::byte* end = rows.data + rows.row_bytes;
        const std::byte* line =
            rows.data - reinterpret_cast<std::uintptr_t>(rows.data) % kCacheLine;
        for (; line < end; line += kCacheLine) __builtin_prefetch(line);
        rows.data += rows.row_stride;
        --rows.rows;
    }

    RowsInMemory to_read_, to_write_;
};

}  // namespace tnm
