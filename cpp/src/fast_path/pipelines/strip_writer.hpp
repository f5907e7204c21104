// From the mask of a strip, in bits, to its flags.
#pragma once

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/prefetcher.hpp"

namespace tnm {

class StripWriter {
  public:
    explicit StripWriter(int m);

    // `kept`: as in StripSolution; is overwritten.
    void write(const StripPlace& place, std::uint64_t* kept) const;
    // Where the flags will be.
    RowsInMemory rows(const StripPlace& place) const;

  private:
    void close_gaps(std::uint64_t* kept, int tiles) const;

    const int m_, field_;  // lanes of a tile
    const StoreStrip store_;
};

}  // namespace tnm
