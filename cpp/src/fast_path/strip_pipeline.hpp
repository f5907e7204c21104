// Taking the tiles of a run, a strip at a time, through load, solve, prove and store.
//
// Full tiles go through the kernels of the instruction set in use; edge tiles and the few full ones
// that the kernels leave go to the general solver of the method.
#pragma once

#include "fast_path/strip_kernels.hpp"
#include "tiles/tile_pipeline.hpp"

namespace tnm {

// T is float where that holds every score exactly, else double. Owns the scratch memory of one
// thread.
template <class T>
class StripPipeline {
  public:
    // `column_stride`: that of all elements that it will be given.
    StripPipeline(const SolveRequest& request, std::int64_t column_stride);

    // `elements` are those of the run, wherever they lie. `ahead`: what will be read after the run,
    // if that is not what follows it in memory; for runs of one strip.
    Status operator()(const TileRun& run, const ElementsInMemory& elements,
                      const RowsInMemory* ahead = nullptr);

  private:
    // Neighbouring full tiles, at most a strip of them.
    struct Place {
        std::int64_t plane, tile_row, tile_column;
        int tiles;
        ElementsInMemory elements;
    };

    std::int64_t shortcut(const TileRun& run, const ElementsInMemory& elements, std::int64_t column,
                          std::int64_t end) const;
    bool process(const Place& place);
    std::uint8_t* flags(const Place& place) const;
    Upcoming after(const Place& place) const;
    bool load(const Place& place);
    bool load_anyhow(const Place& place);
    void find_largest();
    void solve(const Place& place);
    void solve_in_double();
    void solve_rest(int tile);
    bool is_extreme(int tile) const;
    void observe(const Place& place, int tile);
    void store(const Place& place);
    void close_gaps(int tiles);
    void store_row(std::uint64_t bits, int columns, std::int64_t stride, std::uint8_t* data);
    ScoreTile tile_scores(int tile);

    const MaskView& mask_;
    const Pattern pattern_;
    const TileObserver& observer_;
    const TileGrid grid_;
    const int field_;  // lanes of a tile
    const StripKernels& kernels_;
    SolveStrip<T> solve_;      // null if `mask_strip_` needs no prices
    MaskRun mask_run_;         // null if there is no shortcut
    MaskStrip<T> mask_strip_;  // null if masks come from `solve_`
    LoadStrip<T> load_rows_;
    LoadScores<T> load_any_;
    TilePipeline edge_tiles_;
    std::unique_ptr<TileSolver> general_;
    const bool may_be_extreme_;

    const RowsInMemory* ahead_ = nullptr;
    StripScores<T> scores_;
    StripSolution solution_;
    std::vector<double> tile_scores_;
    TileMask tile_mask_;
    TilePrices tile_prices_;
};

// Only for m <= kLargestStripM and n < m.
Status solve_strips(const SolveRequest& request, const Execution& execution);

}  // namespace tnm
