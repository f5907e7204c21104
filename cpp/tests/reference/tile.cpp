#include "reference/tile.hpp"

#include <algorithm>
#include <cmath>

#include "support/check.hpp"

namespace tnm::test {
namespace {

// Calls visit(tile number, flat index) for the entries of each tile, row-major within the tile.
template <class Visit>
void for_each_entry(const Shape& shape, int m, Visit&& visit) {
    const std::int64_t columns = shape.back(), rows = shape.end()[-2];
    const std::int64_t tile_columns = (columns + m - 1) / m, tile_rows = (rows + m - 1) / m;
    for (std::int64_t flat = 0; flat < size_of(shape); ++flat) {
        const std::int64_t plane = flat / columns / rows, i = flat / columns % rows;
        visit((plane * tile_rows + i / m) * tile_columns + flat % columns / m, flat);
    }
}

std::size_t tile_count(const Shape& shape, int m) {
    const std::int64_t columns = shape.back(), rows = shape.end()[-2];
    if (size_of(shape) == 0) return 0;
    return static_cast<std::size_t>(size_of(shape) / (rows * columns) * ((rows + m - 1) / m) *
                                    ((columns + m - 1) / m));
}

}  // namespace

Tile Tile::transposed() const {
    Tile other{columns, rows, pattern, {}};
    for (int j = 0; j < columns; ++j)
        for (int i = 0; i < rows; ++i) other.scores.push_back((*this)(i, j));
    return other;
}

std::string Tile::description() const {
    std::string text = join("tile ", rows, "x", columns, ", pattern ", pattern.n, ":", pattern.m);
    if (rows * columns > 600) return text;
    for (int i = 0; i < rows; ++i) {
        text += "\n       ";
        for (int j = 0; j < columns; ++j) text += join(" ", (*this)(i, j));
    }
    return text;
}

double score_of_value(double value, Score score) {
    if (score == Score::square) return value * value;
    return score == Score::abs && value < 0.0 ? -value : value;
}

std::vector<Tile> tiles_of(const Array& array, const Pattern& pattern, Score score) {
    const int m = pattern.m;
    std::vector<Tile> tiles(tile_count(array.shape(), m));
    for_each_entry(array.shape(), m, [&](std::int64_t number, std::int64_t flat) {
        tiles[static_cast<std::size_t>(number)].scores.push_back(
            score_of_value(array.get(flat), score));
    });
    const TileGrid grid{array.shape().end()[-2], array.shape().back(), m};
    for (std::size_t t = 0; t < tiles.size(); ++t) {
        const auto number = static_cast<std::int64_t>(t);
        tiles[t].rows = grid.height(number / grid.tile_columns() % grid.tile_rows());
        tiles[t].columns = grid.width(number % grid.tile_columns());
        tiles[t].pattern = pattern;
    }
    return tiles;
}

std::vector<Flags> tiles_of(const MaskArray& mask, int m) {
    std::vector<Flags> tiles(tile_count(mask.shape(), m));
    for_each_entry(mask.shape(), m, [&](std::int64_t number, std::int64_t flat) {
        tiles[static_cast<std::size_t>(number)].push_back(mask.get(flat));
    });
    return tiles;
}

long double total(const Tile& tile, const Flags& kept) {
    long double sum = 0.0L;
    for (std::size_t k = 0; k < kept.size(); ++k)
        if (kept[k]) sum += tile.scores[k];
    return sum;
}

long double pruned_total(const Tile& tile, const Flags& kept) {
    long double sum = 0.0L;
    for (std::size_t k = 0; k < kept.size(); ++k)
        if (!kept[k]) sum += tile.scores[k];
    return sum;
}

bool obeys_pattern(const Tile& tile, const Flags& kept, bool exact) {
    std::vector<int> in_row(static_cast<std::size_t>(tile.rows));
    std::vector<int> in_column(static_cast<std::size_t>(tile.columns));
    for (std::size_t k = 0; k < kept.size(); ++k) {
        in_row[k / static_cast<std::size_t>(tile.columns)] += kept[k];
        in_column[k % static_cast<std::size_t>(tile.columns)] += kept[k];
    }
    const int n = tile.pattern.n;
    const auto fits = [&](int count) { return exact && tile.full() ? count == n : count <= n; };
    return std::all_of(in_row.begin(), in_row.end(), fits) &&
           std::all_of(in_column.begin(), in_column.end(), fits);
}

std::optional<IntegerScores> as_integers(const Tile& tile) {
    double largest = 0.0;
    for (const double score : tile.scores) largest = std::max(largest, std::fabs(score));
    IntegerScores integers;
    if (largest > 0.0) std::frexp(largest, &integers.exponent);
    integers.exponent -= 40;
    for (const double score : tile.scores) {
        const long double scaled = std::ldexp(static_cast<long double>(score), -integers.exponent);
        if (scaled != std::nearbyint(scaled)) return std::nullopt;
        integers.values.push_back(static_cast<std::int64_t>(scaled));
    }
    return integers;
}

}  // namespace tnm::test
