// The kernels of row-wise masks: what is compiled once for each instruction set.
//
// A lane is a group of m entries, line k holds the k-th entry of 64 groups. Where an array's groups
// lie makes a difference to reading and writing alone; and what its elements are, to the integers
// that they are compared by.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tnm/pattern.hpp"

namespace tnm {

inline constexpr int kGroupLanes = 64;

// From an element to an integer of its size: the integers are ordered as the scores are, -0 being
// equal to 0. Squares are ordered as magnitudes are.
struct ScoreOrder {
    bool is_flag;              // any byte but 0 stands for 1
    std::uint64_t value_bits;  // those beside the sign of a floating-point number
    bool reads_sign;           // what is below zero is negated: floats to be below, integers above
    std::uint64_t zero;        // what 0 becomes; the others lie around it, modulo 2^bits
    std::uint64_t largest_finite;  // as value bits
};

// Bytes from an entry of a group to the next, and from a group to the next.
struct GroupStrides {
    std::int64_t in_group, between;
};

struct RowwiseTask {
    Pattern pattern;  // m: the size of the groups
    bool only_positive;
    ScoreOrder order;
    GroupStrides elements, flags;
};

// Whether groups of four follow each other in memory, and their flags do.
__attribute__((always_inline)) inline bool are_one_row(const RowwiseTask& task,
                                                       std::int64_t item_bytes) {
    const auto &from = task.elements, &to = task.flags;
    return from.in_group == item_bytes && from.between == 4 * item_bytes && to.in_group == 1 &&
           to.between == 4;
}

// Whether those of neighbouring groups follow each other.
__attribute__((always_inline)) inline bool are_four_rows(const RowwiseTask& task,
                                                         std::int64_t item_bytes) {
    return task.elements.between == item_bytes && task.flags.between == 1;
}

// Whether 64 groups of four at equal distances go from memory to memory.
__attribute__((always_inline)) inline bool goes_straight(const RowwiseTask& task,
                                                         std::int64_t item_bytes) {
    return task.pattern.m == 4 &&
           (are_four_rows(task, item_bytes) || (item_bytes <= 4 && are_one_row(task, item_bytes)));
}

// Groups at equal distances in memory, and the lanes that they go to.
struct LaneRun {
    const std::byte* elements;
    std::uint8_t* flags;
    int first_lane, lanes;
    std::int64_t lanes_in_memory;  // that may be read, these included
};

// Scratch memory: lines of kGroupLanes elements, of a vector, and of kGroupLanes bytes. There are m
// of them, up to a multiple of 16; and another line of bytes.
struct RowwiseSpace {
    std::byte *keys, *ranks;
    std::uint8_t* flags;
};

// The masks of up to 64 groups. Returns whether all scores are finite.
using MaskGroups = bool (*)(const RowwiseTask& task, const LaneRun* runs, int count,
                            const RowwiseSpace& space);

struct RowwiseKernels {
    MaskGroups (*mask_groups)(int item_bytes);
};

// Those of the instruction set in use.
const RowwiseKernels& rowwise_kernels();

}  // namespace tnm
