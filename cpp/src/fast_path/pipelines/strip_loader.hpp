// From elements to the scores of a strip.
#pragma once

#include <vector>

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/exact_scores.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {

// T is float where that holds every score exactly, else double.
template <class T>
class StripLoader {
  public:
    explicit StripLoader(const SolveRequest& request);

    // Returns whether all scores are finite.
    bool load(const StripPlace& place);
    const StripScores<T>& scores() const { return scores_; }
    // Bit g: T does not hold the scores of tile g; zeros are there instead.
    std::uint64_t left_out() const { return left_out_; }

  private:
    std::uint64_t inexact_tiles(const StripPlace& place, std::uint64_t doubtful) const;
    // A whole strip, with zeros for missing tiles and for those left out.
    ElementsInMemory copy_of(const StripPlace& place, std::uint64_t left_out);

    const TileGrid grid_;
    const int field_;  // lanes of a tile
    const std::int64_t item_bytes_;
    const LoadStrip<T> load_;
    const FindInexact find_inexact_;
    std::uint64_t left_out_ = 0;
    std::vector<std::byte> copy_;
    StripScores<T> scores_;
};

}  // namespace tnm
