// The N:M pattern and the grid of tiles that it lays over a matrix.
#pragma once

#include <cstdint>

namespace tnm {

inline constexpr int kMaxM = 128;

// n entries are kept of every m.
struct Pattern {
    int n = 0;
    int m = 0;

    bool valid() const { return 1 <= n && n <= m && m <= kMaxM; }
};

// What a kept entry is worth.
enum class Score { abs, square, identity };

// Tiles of m x m over a matrix; the last tile of a row or column of tiles may be smaller.
struct TileGrid {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    int m = 1;

    std::int64_t tile_rows() const { return (rows + m - 1) / m; }
    std::int64_t tile_columns() const { return (columns + m - 1) / m; }
    std::int64_t tiles() const { return tile_rows() * tile_columns(); }
    int height(std::int64_t tile_row) const { return at_most_m(rows - tile_row * m); }
    int width(std::int64_t tile_column) const { return at_most_m(columns - tile_column * m); }

  private:
    int at_most_m(std::int64_t rest) const { return rest < m ? static_cast<int>(rest) : m; }
};

}  // namespace tnm
