#include "counting/listing/subsets.hpp"

#include <bit>
#include <cstddef>

namespace tnm {
namespace {

constexpr int kSets = 256, kSizes = 9;
constexpr std::size_t kSubsets = 6561;  // 3^8: each element is out, in the set, or in the subset

struct Table {
    std::array<std::uint8_t, kSubsets> subsets;
    // Where the list of a set and a size begins; lists lie one after the other.
    std::array<std::uint16_t, kSets * kSizes + 1> first;

    Table() {
        std::uint16_t place = 0;
        for (int set = 0; set < kSets; ++set)
            for (int size = 0; size < kSizes; ++size) {
                first[set * kSizes + size] = place;
                for (int subset = 0; subset <= set; ++subset)
                    if ((subset & ~set) == 0 &&
                        std::popcount(static_cast<unsigned>(subset)) == size)
                        subsets[place++] = static_cast<std::uint8_t>(subset);
            }
        first[kSets * kSizes] = place;
    }
};

const Table& table() {
    static const Table subsets;
    return subsets;
}

}  // namespace

SubsetList subsets_of(std::uint8_t set, int size) {
    const Table& all = table();
    const int list = set * kSizes + size;
    return {all.subsets.data() + all.first[list], all.subsets.data() + all.first[list + 1]};
}

}  // namespace tnm
