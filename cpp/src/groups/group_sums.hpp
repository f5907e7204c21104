// How many flags of a byte are set in groups of m neighbours, and in columns of m.
#pragma once

#include <cstdint>
#include <cstring>

namespace tnm {

inline std::uint64_t eight_flags(const std::uint8_t* flags) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, flags, sizeof bytes);
    return bytes;
}

// The product adds all bytes up in the highest.
inline std::uint8_t sum_of_bytes(std::uint64_t bytes) {
    return static_cast<std::uint8_t>(bytes * 0x0101010101010101U >> 56);
}

// Of m >= 8: eight flags at a time. The last eight may overlap those before, which are shifted out.
inline std::uint8_t sum_of_many(const std::uint8_t* flags, int m) {
    std::uint64_t sums = 0;
    int j = 0;
    for (; j + 8 <= m; j += 8) sums += eight_flags(flags + j);
    if (j < m) sums += eight_flags(flags + m - 8) >> 8 * (j + 8 - m);
    return sum_of_bytes(sums);
}

// Of m < 8.
inline std::uint8_t sum_of_few(const std::uint8_t* flags, int m) {
    std::uint8_t sum = 0;
    for (int j = 0; j < m; ++j) sum = static_cast<std::uint8_t>(sum + flags[j]);
    return sum;
}

inline __attribute__((always_inline)) void sum_whole_groups(const std::uint8_t* flags, int m,
                                                            std::int64_t groups,
                                                            std::uint8_t* counts) {
    for (std::int64_t g = 0; g < groups; ++g, flags += m)
        counts[g] = m < 8 ? sum_of_few(flags, m) : sum_of_many(flags, m);
}

// Calls sum_whole_groups with the m of the list as a constant, which is up to 20 times as fast.
// Returns false if m is none of them.
template <int... kM>
bool sum_groups_of(const std::uint8_t* flags, int m, std::int64_t groups, std::uint8_t* counts) {
    return ((m == kM && (sum_whole_groups(flags, kM, groups, counts), true)) || ...);
}

// Every group of `columns` flags; the last one may be cut short.
inline void sum_groups(const std::uint8_t* flags, int m, std::int64_t columns,
                       std::uint8_t* counts) {
    const std::int64_t groups = columns / m;
    if (!sum_groups_of<1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64>(flags, m, groups, counts))
        sum_whole_groups(flags, m, groups, counts);
    const auto rest = static_cast<int>(columns - groups * m);
    if (rest != 0) sum_whole_groups(flags + groups * m, rest, 1, counts + groups);
}

inline void add_flags(const std::uint8_t* flags, std::int64_t count, std::uint8_t* sums) {
    for (std::int64_t j = 0; j < count; ++j)
        sums[j] = static_cast<std::uint8_t>(sums[j] + flags[j]);
}

// Adds up each `rows` rows of a word.
template <class Word>
void sum_words(const std::uint8_t* flags, int rows, std::int64_t tiles, std::uint8_t* sums) {
    for (std::int64_t k = 0; k < tiles; ++k) {
        Word total = 0;
        for (int i = 0; i < rows; ++i, flags += sizeof(Word)) {
            Word row = 0;
            std::memcpy(&row, flags, sizeof row);
            total += row;
        }
        std::memcpy(sums + k * static_cast<std::int64_t>(sizeof total), &total, sizeof total);
    }
}

// The sums of each `rows` rows of `width` flags, all of which lie one after another.
inline void sum_columns(const std::uint8_t* flags, int rows, std::int64_t width, std::int64_t tiles,
                        std::uint8_t* sums) {
    if (width == 4) return sum_words<std::uint32_t>(flags, rows, tiles, sums);
    if (width == 8) return sum_words<std::uint64_t>(flags, rows, tiles, sums);
    std::memset(sums, 0, static_cast<std::size_t>(tiles * width));
    for (std::int64_t k = 0; k < tiles; ++k, sums += width)
        for (int i = 0; i < rows; ++i, flags += width) add_flags(flags, width, sums);
}

}  // namespace tnm
