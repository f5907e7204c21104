// From array elements to a tile, in doubles where they hold its scores, else exactly.
#pragma once

#include <memory>

#include "tiles/exact_scores.hpp"
#include "tiles/load_scores.hpp"
#include "tiles/tile.hpp"

namespace tnm {

// Owns the memory of the tile that was loaded last.
class TileLoader {
  public:
    TileLoader(Dtype dtype, Score score, Pattern pattern)
        : dtype_(dtype),
          score_(score),
          find_inexact_(inexact_finder(dtype, score)),
          load_(score_loader(dtype, score)),
          scores_(std::make_unique_for_overwrite<double[]>(static_cast<std::size_t>(pattern.m) *
                                                           static_cast<std::size_t>(pattern.m))) {
        tile_.pattern = pattern;
    }

    // Returns whether all scores are finite.
    bool load(const ElementBlock& block) {
        tile_.rows = block.rows;
        tile_.columns = block.columns;
        if (find_inexact_ != nullptr && find_inexact_(block)) return load_exactly(block);
        tile_.values = scores_.get();
        tile_.stride = tile_.pattern.m;
        tile_.exact = nullptr;
        return load_(block, scores_.get(), tile_.stride);
    }
    const ScoreTile& tile() const { return tile_; }

  private:
    bool load_exactly(const ElementBlock& block) {
        if (!exact_.assign(block, dtype_, score_, tile_.full())) return false;
        tile_.values = exact_.values().data();
        tile_.stride = block.columns;
        tile_.exact = &exact_;
        return true;
    }

    const Dtype dtype_;
    const Score score_;
    const FindInexact find_inexact_;
    const LoadScores load_;
    const std::unique_ptr<double[]> scores_;
    ExactScores exact_;
    ScoreTile tile_;
};

}  // namespace tnm
