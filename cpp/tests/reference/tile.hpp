// The tiles of an array and of a mask, copied out one by one: what references work on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/array.hpp"
#include "tnm/pattern.hpp"

namespace tnm::test {

struct Tile {
    int rows = 0, columns = 0;
    Pattern pattern;
    std::vector<double> scores;  // row-major

    bool full() const { return rows == pattern.m && columns == pattern.m; }
    double operator()(int i, int j) const {
        return scores[static_cast<std::size_t>(i * columns + j)];
    }
    Tile transposed() const;
    std::string description() const;
};

// Row-major, one flag per entry.
using Flags = std::vector<std::uint8_t>;

// The score as the definition in words has it: |x|, x squared, or x, in double.
double score_of_value(double value, Score score);

// In C order over (batch, tile row, tile column).
std::vector<Tile> tiles_of(const Array& array, const Pattern& pattern, Score score);
std::vector<Flags> tiles_of(const MaskArray& mask, int m);

long double total(const Tile& tile, const Flags& kept);
long double pruned_total(const Tile& tile, const Flags& kept);
// At most n kept in each row and column, exactly n if the tile is full and `exact`.
bool obeys_pattern(const Tile& tile, const Flags& kept, bool exact = true);

// All scores divided by one power of two, if that makes them integers of at most 40 bits, so that
// sums of them are exact.
struct IntegerScores {
    std::vector<std::int64_t> values;
    int exponent = 0;
};
std::optional<IntegerScores> as_integers(const Tile& tile);

}  // namespace tnm::test
