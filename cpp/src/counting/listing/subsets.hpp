// The subsets of a set of up to eight, by size.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tnm {

struct SubsetList {
    const std::uint8_t* begin;
    const std::uint8_t* end;
};

class SubsetTable {
  public:
    SubsetTable() {
        std::uint16_t place = 0;
        for (int set = 0; set < kSets; ++set)
            for (int size = 0; size < kSizes; ++size) {
                first_[set * kSizes + size] = place;
                for (int subset = 0; subset <= set; ++subset)
                    if ((subset & ~set) == 0 &&
                        std::popcount(static_cast<unsigned>(subset)) == size)
                        subsets_[place++] = static_cast<std::uint8_t>(subset);
            }
        first_[kSets * kSizes] = place;
    }
    SubsetList of(std::uint8_t set, int size) const {
        const int list = set * kSizes + size;
        return {subsets_.data() + first_[list], subsets_.data() + first_[list + 1]};
    }

  private:
    static constexpr int kSets = 256, kSizes = 9;
    // 3^8: each element is out, in the set, or in the subset.
    static constexpr std::size_t kSubsets = 6561;

    std::array<std::uint8_t, kSubsets> subsets_;
    // Where the list of a set and a size begins; lists lie one after the other.
    std::array<std::uint16_t, kSets * kSizes + 1> first_;
};

// All subsets of `set` with `size` elements, as bits, ascending.
inline SubsetList subsets_of(std::uint8_t set, int size) {
    static const SubsetTable table;
    return table.of(set, size);
}

}  // namespace tnm
