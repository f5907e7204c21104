// Listing all masks of one small tile, in canonical order.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "tnm/pattern.hpp"
#include "tnm/status.hpp"

namespace tnm {

inline constexpr int kMaxEnumeratedM = 8;

// The code of an m x m mask, m <= 8, is the number whose m * m binary digits are the entries in
// row-major order, the first entry the most significant. Canonical order is ascending order of the
// codes: the lexicographic order of the masks.
//
// An enumerator belongs to one thread at a time.
class MaskEnumerator {
  public:
    // Starts before the first mask.
    static Status create(const Pattern& pattern, std::unique_ptr<MaskEnumerator>& enumerator);

    // Starts before this mask; invalid_argument, and no change, if it is not one of the pattern.
    Status seek(std::uint64_t code);

    // Writes the codes of the next masks, at most `capacity`; returns how many. There are no more
    // masks if these are fewer.
    std::int64_t next(std::uint64_t* codes, std::int64_t capacity);

    const Pattern& pattern() const { return pattern_; }

  private:
    // Bit planes: bit c of plane p is digit p of what column c needs.
    using Needs = std::array<std::uint8_t, 4>;

    // A row whose choices are being gone through: `forced` and one of the subsets from `next` on.
    struct Row {
        Needs needs{};
        std::uint64_t above = 0;
        std::uint8_t forced = 0, open = 0;
        const std::uint8_t* next = nullptr;
        const std::uint8_t* end = nullptr;
    };

    explicit MaskEnumerator(const Pattern& pattern);
    void open_row(int row);
    void choose(int row, std::uint8_t subset);
    bool to_next_choice();
    std::uint64_t* write_last_rows(std::uint64_t* codes, std::int64_t capacity);

    Pattern pattern_;
    // All but the last row, whose choice is no choice; the last of these is written out as a run.
    std::array<Row, kMaxEnumeratedM> rows_;
};

}  // namespace tnm
