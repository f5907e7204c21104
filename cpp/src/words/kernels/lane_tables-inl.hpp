// For each 8 bits: which element comes where when those whose bit is set move together or apart.
#pragma once

#include "simd/vectors-inl.hpp"

namespace tnm::TNM_ISA {

// -1 where none comes; in `collect` any, beyond those that count.
struct LaneTables {
    std::int8_t spread[256][8];
    std::int8_t collect[256][8];
    // The same for the bytes of elements of two.
    std::int8_t spread_pairs[256][16];
    std::int8_t collect_pairs[256][16];
    // The same for two lanes each of 4 elements.
    std::int8_t spread_four[16][8];
    std::int8_t collect_four[16][8];
};

constexpr LaneTables make_lane_tables() {
    LaneTables tables{};
    for (int bits = 0; bits < 256; ++bits) {
        int kept = 0;
        for (int lane = 0; lane < 8; ++lane) {
            const bool is_kept = (bits >> lane & 1) != 0;
            tables.spread[bits][lane] = static_cast<std::int8_t>(is_kept ? kept : -1);
            if (is_kept) tables.collect[bits][kept++] = static_cast<std::int8_t>(lane);
        }
        for (int half = 0; half < 16; ++half) {
            const int from = tables.spread[bits][half / 2], to = tables.collect[bits][half / 2];
            const int spread = from < 0 ? -1 : 2 * from + half % 2, collect = 2 * to + half % 2;
            tables.spread_pairs[bits][half] = static_cast<std::int8_t>(spread);
            tables.collect_pairs[bits][half] = static_cast<std::int8_t>(collect);
            if (bits >= 16 || half >= 8) continue;
            tables.spread_four[bits][half] = static_cast<std::int8_t>(spread);
            tables.collect_four[bits][half] = static_cast<std::int8_t>(collect % 8);
        }
    }
    return tables;
}
alignas(64) inline constexpr LaneTables kLaneTables = make_lane_tables();

}  // namespace tnm::TNM_ISA
