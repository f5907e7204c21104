// One tile: its scores, its mask, its prices. A tile does not know where in a matrix it lies.
#pragma once

#include <array>
#include <cstdint>

#include "tiles/exact_scores.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

// The scores of one tile, row-major.
struct ScoreTile {
    const double* values = nullptr;
    int stride = 0;
    int rows = 0;
    int columns = 0;
    Pattern pattern;
    // What `values` are rounded from, with its offset and exponent; null if they are the scores.
    const ExactScores* exact = nullptr;

    // Full tiles keep exactly n in each row and column, edge tiles at most n.
    bool full() const { return rows == pattern.m && columns == pattern.m; }
    const double* row(int i) const { return values + static_cast<std::ptrdiff_t>(i) * stride; }
    double operator()(int i, int j) const { return row(i)[j]; }
    // What rounding took from (i, j).
    double rest(int i, int j) const { return exact == nullptr ? 0.0 : exact->rest(i, j); }
    // Ordered and signed as the scores are, however close they lie.
    double order(int i, int j) const {
        return exact == nullptr ? (*this)(i, j) : exact->rank(i, j);
    }
    double offset() const { return exact == nullptr ? 0.0 : exact->offset(); }
    int exponent() const { return exact == nullptr ? 0 : exact->exponent(); }
};

// Which entries a tile keeps: bit j of row i.
class TileMask {
  public:
    static constexpr int kWords = kMaxM / 64;

    void reset(int rows) {
        for (int i = 0; i < rows; ++i) words_[i] = {};
    }
    bool test(int i, int j) const { return (words_[i][j >> 6] >> (j & 63)) & 1U; }
    void set(int i, int j) { words_[i][j >> 6] |= std::uint64_t{1} << (j & 63); }
    void clear(int i, int j) { words_[i][j >> 6] &= ~(std::uint64_t{1} << (j & 63)); }
    std::uint64_t word(int i, int w) const { return words_[i][w]; }
    void set_word(int i, int w, std::uint64_t bits) { words_[i][w] = bits; }

  private:
    std::array<std::array<std::uint64_t, kWords>, kMaxM> words_{};
};

// Dual prices of one tile, in units of 2^exponent, so that they neither overflow nor underflow.
struct TilePrices {
    std::array<double, kMaxM> row{};
    std::array<double, kMaxM> column{};
    int exponent = 0;
};

// Finds the mask of one tile after another; owns the scratch memory, so one object per thread.
class TileSolver {
  public:
    virtual ~TileSolver() = default;
    // `prices` may be null, and is left alone by solvers that have no dual solution.
    virtual void solve(const ScoreTile& scores, TileMask& mask, TilePrices* prices) = 0;
};

}  // namespace tnm
