// Scores for whose sums double is too coarse or too short: long integers, fractions that lie close
// together, squares of very large or small numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "tiles/load_scores.hpp"
#include "tnm/dtype.hpp"
#include "tnm/pattern.hpp"

namespace tnm {

__extension__ typedef unsigned __int128 Uint128;

// magnitude * 2^exponent, or that below zero.
struct ExactScore {
    Uint128 magnitude = 0;
    int exponent = 0;
    bool negative = false;
};

// Whether a tile, whose elements are finite, takes them.
using FindInexact = bool (*)(const ElementBlock& block);

// Null where no tile of such elements does.
FindInexact inexact_finder(Dtype dtype, Score score);

// The scores of one tile, exactly, and the doubles next to
//   (score - offset()) * 2^-exponent()
// An offset is taken where it makes full tiles exact; an exponent, where double ends.
class ExactScores {
  public:
    // Returns whether all elements are finite.
    bool assign(const ElementBlock& block, Dtype dtype, Score score, bool full);

    const std::vector<double>& values() const { return values_; }
    // What rounding took from the values.
    double rest(int i, int j) const { return rests_[index(i, j)]; }
    // Ordered as the scores are, with zero where they are zero.
    int rank(int i, int j) const { return ranks_[index(i, j)]; }
    const ExactScore& operator()(int i, int j) const { return scores_[index(i, j)]; }
    double offset() const { return offset_; }
    int exponent() const { return exponent_; }
    // Every score is a multiple of 2^lowest_bit(), and smaller than 2^end_bit().
    int lowest_bit() const { return lowest_bit_; }
    int end_bit() const { return end_bit_; }

  private:
    std::size_t index(int i, int j) const {
        return static_cast<std::size_t>(i) * static_cast<std::size_t>(columns_) +
               static_cast<std::size_t>(j);
    }
    void measure();
    bool subtract_offset();
    void round_to_double();
    void rank_scores();

    int columns_ = 0;
    std::vector<ExactScore> scores_;
    std::vector<double> values_, rests_;
    std::vector<int> ranks_, order_;
    double offset_ = 0.0;
    int exponent_ = 0, lowest_bit_ = 0, end_bit_ = 0;
};

}  // namespace tnm
