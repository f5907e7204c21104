// All masks of one tile, numbered in canonical order: from mask to number and back.
#pragma once

#include <cstdint>
#include <memory>

#include "tnm/counting/margin_count.hpp"
#include "tnm/execution.hpp"
#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

// Canonical order is the lexicographic order of the masks read in row-major order, dropped before
// kept. A table never changes, so that any number of threads may use it.
class MaskTable {
  public:
    static Status create(const Pattern& pattern, TableMemory& memory,
                         std::unique_ptr<MaskTable>& table, const Execution& execution);
    virtual ~MaskTable() = default;

    virtual const Pattern& pattern() const = 0;
    // Memory that the table takes.
    virtual std::uint64_t bytes() const = 0;
    // Number of masks; total().size() is the number of limbs of an index.
    virtual const BigCount& total() const = 0;

    // `indices` holds total().size() limbs an index, least significant first; `masks` m x m bytes a
    // mask, 0 or 1. Indices must be below total().
    virtual Status unrank(const std::uint64_t* indices, std::int64_t count, std::uint8_t* masks,
                          const Execution& execution) const = 0;

    // As unrank, in another order that is not specified but the same everywhere, and quicker:
    // numbers drawn uniformly below total() give masks drawn uniformly.
    virtual Status sample(const std::uint64_t* draws, std::int64_t count, std::uint8_t* masks,
                          const Execution& execution) const = 0;

    // The masks must keep exactly n in each row and column.
    virtual Status rank(const std::uint8_t* masks, std::int64_t count, std::uint64_t* indices,
                        const Execution& execution) const = 0;
};

}  // namespace tnm
