// The full tiles of a batch of matrices, one after another in C order.
#pragma once

#include "tiles/walk_tiles.hpp"

namespace tnm {

class TileSequence {
  public:
    struct Place {
        std::int64_t plane, tile_row, tile_column;
    };

    TileSequence(const TileGrid& grid, std::int64_t planes)
        : across_(grid.columns / grid.m), down_(grid.rows / grid.m), planes_(planes) {}

    std::int64_t count() const { return planes_ * down_ * across_; }
    Place place(std::int64_t number) const {
        return {number / across_ / down_, number / across_ % down_, number % across_};
    }
    std::int64_t number(const Place& place) const {
        return (place.plane * down_ + place.tile_row) * across_ + place.tile_column;
    }
    void advance(Place& place) const {
        if (++place.tile_column < across_) return;
        place.tile_column = 0;
        if (++place.tile_row < down_) return;
        place.tile_row = 0;
        ++place.plane;
    }

  private:
    std::int64_t across_, down_, planes_;
};

}  // namespace tnm
