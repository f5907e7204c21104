// From elements to the scores of a strip.
#pragma once

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
    // Whether whole strips are read row by row, by a kernel.
    bool reads_rows() const { return load_rows_ != nullptr; }

  private:
    std::uint64_t inexact_tiles(const StripPlace& place, std::uint64_t doubtful) const;
    bool load_anyhow(const StripPlace& place);
    void find_largest();

    const TileGrid grid_;
    const int field_;  // lanes of a tile
    const LoadStrip<T> load_rows_;
    const LoadScores<T> load_any_;
    const FindInexact find_inexact_;
    std::uint64_t left_out_ = 0;
    StripScores<T> scores_;
};

}  // namespace tnm
