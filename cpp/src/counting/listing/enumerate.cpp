#include <algorithm>
#include <bit>

#include "counting/listing/subsets.hpp"
#include "parallel/guarded.hpp"
#include "tnm/counting/enumerate.hpp"

namespace tnm {
namespace {

// Whether a code is that of a mask that keeps n in every row and column.
bool is_mask(std::uint64_t code, const Pattern& pattern) {
    const int m = pattern.m;
    if (m < kMaxEnumeratedM && code >> (m * m) != 0) return false;
    std::array<int, kMaxEnumeratedM> in_row{}, in_column{};
    for (int place = 0; place < m * m; ++place) {
        const int entry = static_cast<int>(code >> place & 1U);
        in_row[place / m] += entry;
        in_column[place % m] += entry;
    }
    const auto keeps_n = [&](int kept) { return kept == pattern.n; };
    return std::all_of(in_row.begin(), in_row.begin() + m, keeps_n) &&
           std::all_of(in_column.begin(), in_column.begin() + m, keeps_n);
}

}  // namespace

MaskEnumerator::MaskEnumerator(const Pattern& pattern) : pattern_(pattern) {
    const auto all = static_cast<std::uint8_t>((1U << pattern.m) - 1);
    for (int digit = 0; digit < 4; ++digit)
        rows_[0].needs[digit] = (pattern.n >> digit & 1) != 0 ? all : std::uint8_t{0};
    open_row(0);
    for (int row = 0; row < pattern.m - 2; ++row) choose(row, *rows_[row].next++);
}

Status MaskEnumerator::create(const Pattern& pattern, std::unique_ptr<MaskEnumerator>& enumerator) {
    if (!pattern.valid() || pattern.m > kMaxEnumeratedM) return Status::invalid_argument;
    return guarded([&] {
        enumerator.reset(new MaskEnumerator(pattern));
        return Status::ok;
    });
}

// Columns that need a one in each row that is left must get it; those that need some have a choice.
void MaskEnumerator::open_row(int row) {
    Row& state = rows_[row];
    const int rows_left = pattern_.m - row;
    unsigned needs_all = (1U << pattern_.m) - 1, needs_some = 0;
    for (int digit = 0; digit < 4; ++digit) {
        const unsigned plane = state.needs[digit];
        needs_all &= (rows_left >> digit & 1) != 0 ? plane : ~plane;
        needs_some |= plane;
    }
    state.forced = static_cast<std::uint8_t>(needs_all);
    state.open = static_cast<std::uint8_t>(needs_some & ~needs_all);
    const SubsetList subsets = subsets_of(state.open, pattern_.n - std::popcount(needs_all));
    state.next = subsets.begin;
    state.end = subsets.end;
}

void MaskEnumerator::choose(int row, std::uint8_t subset) {
    const Row& state = rows_[row];
    Row& below = rows_[row + 1];
    const auto chosen = static_cast<std::uint8_t>(state.forced | subset);
    std::uint8_t borrow = chosen;
    for (int digit = 0; digit < 4; ++digit) {
        const std::uint8_t plane = state.needs[digit];
        below.needs[digit] = plane ^ borrow;
        borrow = static_cast<std::uint8_t>(~plane & borrow);
    }
    below.above = state.above << pattern_.m | chosen;
    open_row(row + 1);
}

bool MaskEnumerator::to_next_choice() {
    const int last = pattern_.m - 2;
    int row = last - 1;
    while (row >= 0 && rows_[row].next == rows_[row].end) --row;
    if (row < 0) return false;
    for (; row < last; ++row) choose(row, *rows_[row].next++);
    return true;
}

std::uint64_t* MaskEnumerator::write_last_rows(std::uint64_t* codes, std::int64_t capacity) {
    const int m = pattern_.m;
    Row& row = rows_[std::max(0, m - 2)];
    const std::int64_t count = std::min<std::int64_t>(capacity, row.end - row.next);
    if (m == 1) {
        row.next += count;
        std::fill_n(codes, count, std::uint64_t{1});
        return codes + count;
    }
    // Columns that have a choice need one more: what the last row but one leaves, the last takes.
    const std::uint64_t base = ((row.above << m | row.forced) << m) | row.forced | row.open;
    const std::uint64_t step = (std::uint64_t{1} << m) - 1;
    for (std::int64_t k = 0; k < count; ++k) codes[k] = base + step * row.next[k];
    row.next += count;
    return codes + count;
}

std::int64_t MaskEnumerator::next(std::uint64_t* codes, std::int64_t capacity) {
    std::uint64_t* place = codes;
    std::uint64_t* const end = codes + capacity;
    while (place != end) {
        place = write_last_rows(place, end - place);
        if (place != end && !to_next_choice()) break;
    }
    return place - codes;
}

Status MaskEnumerator::seek(std::uint64_t code) {
    if (!is_mask(code, pattern_)) return Status::invalid_argument;
    const int m = pattern_.m, choices = std::max(1, m - 1);
    open_row(0);
    for (int row = 0; row < choices; ++row) {
        Row& state = rows_[row];
        const auto chosen = static_cast<std::uint8_t>(code >> (m - 1 - row) * m & ((1U << m) - 1));
        const auto subset = static_cast<std::uint8_t>(chosen & state.open);
        state.next = std::find(state.next, state.end, subset);
        if (row < choices - 1) choose(row, *state.next++);
    }
    return Status::ok;
}

}  // namespace tnm
