// From the mask of a strip, in bits, to its flags.
#pragma once

#include "fast_path/pipelines/strip_place.hpp"
#include "fast_path/prefetcher.hpp"
#include "fast_path/strip_kernels.hpp"
#include "tiles/solve_request.hpp"

namespace tnm {

class StripWriter {
  public:
    explicit StripWriter(const SolveRequest& request);

    // `kept`: as in StripSolution; is overwritten.
    void write(const StripPlace& place, std::uint64_t* kept) const;
    // Where the flags will be; nothing unless those of a row are neighbours.
    RowsInMemory rows(const StripPlace& place) const;

  private:
    std::uint8_t* first_flag(const StripPlace& place) const;
    void close_gaps(std::uint64_t* kept, int tiles) const;
    void write_row(std::uint64_t bits, int columns, std::uint8_t* data) const;

    const MaskView& mask_;
    const int m_, field_;  // lanes of a tile
    const StoreStrip store_;
};

}  // namespace tnm
