#include "tnm/counting/curveball.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <utility>
#include <vector>

#include "counting/sampling/random_words.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"

namespace tnm {
namespace {

// A chain stops so often for a look at whether somebody wants the call to end.
constexpr std::int64_t kTradesAtOnce = 100'000;
constexpr std::int64_t kChainsAtOnce = 256;

struct RowBits {
    std::array<std::uint64_t, kMaxM / 64> words{};

    void set(int column) { words[column / 64] |= std::uint64_t{1} << (column % 64); }
    bool operator[](int column) const { return (words[column / 64] >> (column % 64) & 1) != 0; }
};

using Rows = std::array<RowBits, kMaxM>;

std::array<int, kMaxM> shuffled(int m, RandomWords& random) {
    std::array<int, kMaxM> order;
    std::iota(order.begin(), order.begin() + m, 0);
    for (int k = m - 1; k > 0; --k)
        std::swap(order[k], order[random.below(static_cast<std::uint32_t>(k + 1))]);
    return order;
}

Rows banded_mask(const Pattern& pattern, RandomWords& random) {
    const int m = pattern.m;
    const auto row_order = shuffled(m, random), column_order = shuffled(m, random);
    Rows rows{};
    for (int i = 0; i < m; ++i)
        for (int k = 0; k < pattern.n; ++k) rows[row_order[i]].set(column_order[(i + k) % m]);
    return rows;
}

// Of the columns that only one of the rows keeps, the first row gets as many as before, any of them
// with equal probability.
void trade(RowBits& first, RowBits& second, RandomWords& random) {
    std::uint32_t wanted = 0, open = 0;
    for (std::size_t w = 0; w < first.words.size(); ++w) {
        wanted += std::popcount(first.words[w] & ~second.words[w]);
        open += std::popcount(first.words[w] ^ second.words[w]);
    }
    for (std::size_t w = 0; w < first.words.size(); ++w) {
        std::uint64_t dealt = 0;
        for (std::uint64_t rest = first.words[w] ^ second.words[w]; rest != 0; rest &= rest - 1) {
            const std::uint64_t column = rest & (0 - rest);
            if (random.below(open--) < wanted) {
                dealt |= column;
                --wanted;
            }
        }
        const std::uint64_t both = first.words[w] & second.words[w];
        const std::uint64_t either = first.words[w] ^ second.words[w];
        first.words[w] = both | dealt;
        second.words[w] = both | (either ^ dealt);
    }
}

struct Chain {
    Chain(const Pattern& pattern, const std::uint64_t* seed)
        : random(seed), rows(banded_mask(pattern, random)) {}

    void make_trades(int m, std::int64_t trades) {
        for (std::int64_t k = 0; k < trades; ++k) {
            const std::uint32_t first = random.below(static_cast<std::uint32_t>(m));
            const std::uint32_t other = random.below(static_cast<std::uint32_t>(m - 1));
            trade(rows[first], rows[other + (other >= first ? 1 : 0)], random);
        }
    }
    void store(int m, std::uint8_t* mask) const {
        for (int i = 0; i < m; ++i)
            for (int j = 0; j < m; ++j) *mask++ = rows[i][j];
    }

    RandomWords random;
    Rows rows;
};

Status run_chains(std::vector<Chain>& chains, int m, std::int64_t trades,
                  const Execution& execution) {
    const auto count = static_cast<std::int64_t>(chains.size());
    for (std::int64_t done = 0; done < trades; done += kTradesAtOnce) {
        const std::int64_t now = std::min(kTradesAtOnce, trades - done);
        const std::int64_t length = std::max<std::int64_t>(1, kTradesAtOnce / now / 16);
        const Status status = parallel_each(count, length, execution, [&](std::int64_t k) {
            chains[static_cast<std::size_t>(k)].make_trades(m, now);
        });
        if (status != Status::ok) return status;
    }
    return Status::ok;
}

}  // namespace

Status curveball_masks(const Pattern& pattern, std::int64_t trades, const std::uint64_t* seeds,
                       std::int64_t count, std::uint8_t* masks, const Execution& execution) {
    if (!pattern.valid() || trades < 0 || count < 0) return Status::invalid_argument;
    const int m = pattern.m;
    // With one row there is nobody to trade with.
    const std::int64_t wanted = m > 1 ? trades : 0;
    return guarded([&] {
        std::vector<Chain> chains;
        for (std::int64_t first = 0; first < count; first += kChainsAtOnce) {
            chains.clear();
            const std::int64_t last = std::min(count, first + kChainsAtOnce);
            for (std::int64_t k = first; k < last; ++k)
                chains.emplace_back(pattern, seeds + k * kCurveballSeedWords);
            const Status status = run_chains(chains, m, wanted, execution);
            if (status != Status::ok) return status;
            for (std::int64_t k = first; k < last; ++k)
                chains[static_cast<std::size_t>(k - first)].store(m, masks + k * m * m);
        }
        return Status::ok;
    });
}

}  // namespace tnm
