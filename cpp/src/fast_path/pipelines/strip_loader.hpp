// From elements to the scores of a strip.
#pragma once

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {

// T is float where that holds every score exactly, else double.
template <class T>
class StripLoader {
  public:
    explicit StripLoader(const SolveRequest& request);

    // Returns whether all scores are finite. Bit g of `left_out`: zeros are loaded for tile g.
    bool load(const StripPlace& place, std::uint64_t left_out);
    const StripScores<T>& scores() const { return scores_; }
    // Whether whole strips are read row by row, by a kernel.
    bool reads_rows() const { return load_rows_ != nullptr; }

  private:
    bool load_anyhow(const StripPlace& place, std::uint64_t left_out);
    void find_largest();

    const TileGrid grid_;
    const int field_;  // lanes of a tile
    const LoadStrip<T> load_rows_;
    const LoadScores<T> load_any_;
    StripScores<T> scores_;
};

}  // namespace tnm
