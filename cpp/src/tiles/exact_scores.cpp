#include "tiles/exact_scores.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "tiles/element.hpp"

namespace tnm {
namespace {

__extension__ typedef __int128 Int128;

constexpr int kDoubleBits = 53;
// Squares of fewer bits are exact in double, and between these ends none over- or underflows.
constexpr int kRootBits = 26, kLeastRootExponent = -450, kLargestRootExponent = 500;
// Sums of so many bits, and of prices, are exact in double.
constexpr int kShiftedBits = 48;
// Beyond these, scores are scaled.
constexpr int kLeastEnd = -900, kLargestEnd = 1000;

int bit_length(Uint128 value) {
    const auto high = static_cast<std::uint64_t>(value >> 64);
    if (high != 0) return 128 - std::countl_zero(high);
    return 64 - std::countl_zero(static_cast<std::uint64_t>(value));
}

int trailing_zeros(Uint128 value) {
    const auto low = static_cast<std::uint64_t>(value);
    if (low != 0) return std::countr_zero(low);
    return 64 + std::countr_zero(static_cast<std::uint64_t>(value >> 64));
}

// Of what has no fraction or one of 53 bits; without any arithmetic of floating point.
template <class T>
ExactScore element_of(T value) {
    ExactScore element;
    if constexpr (std::is_integral_v<T>) {
        const auto bits = static_cast<std::uint64_t>(value);
        element.negative = value < 0;
        element.magnitude = element.negative ? std::uint64_t{0} - bits : bits;
    } else {
        const auto bits = std::bit_cast<std::uint64_t>(value);
        const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
        const std::uint64_t fraction = bits & 0xfffffffffffffULL;
        element.negative = bits >> 63 != 0;
        element.magnitude = exponent == 0 ? fraction : fraction | std::uint64_t{1} << 52;
        element.exponent = std::max(exponent, 1) - 1075;
    }
    return element;
}

ExactScore score_of(ExactScore element, Score score) {
    if (score != Score::identity) element.negative = false;
    if (score == Score::square) {
        element.magnitude *= element.magnitude;
        element.exponent *= 2;
    }
    return element;
}

template <class T, Score kScore>
bool is_inexact(T value) {
    const ExactScore element = element_of(value);
    if (element.magnitude == 0) return false;
    const int end = bit_length(element.magnitude), bits = end - trailing_zeros(element.magnitude);
    if constexpr (kScore != Score::square) return bits > kDoubleBits;
    return bits > kRootBits || end + element.exponent > kLargestRootExponent ||
           end + element.exponent < kLeastRootExponent;
}

// Calls visit(address) for the elements of a block, row by row, until it returns false.
template <class Visit>
bool visit_elements(const ElementBlock& block, const Visit& visit) {
    for (int i = 0; i < block.rows; ++i)
        for (int j = 0; j < block.columns; ++j)
            if (!visit(block.data + i * block.row_stride + j * block.column_stride)) return false;
    return true;
}

template <class T, Score kScore>
bool find_inexact(const ElementBlock& block) {
    return !visit_elements(block, [](const std::byte* address) {
        return !is_inexact<T, kScore>(load_element<T>(address));
    });
}

template <class T>
FindInexact finder_of_wide(Score score) {
    return score == Score::square ? find_inexact<T, Score::square> : find_inexact<T, Score::abs>;
}

Int128 signed_value(const ExactScore& score) {
    const auto magnitude = static_cast<Int128>(score.magnitude);
    return score.negative ? -magnitude : magnitude;
}

// The leading bits of a magnitude, cut off.
Uint128 leading_bits(Uint128 magnitude) {
    const int cut = std::max(0, bit_length(magnitude) - kDoubleBits);
    return magnitude >> cut << cut;
}

bool less_magnitude(const ExactScore& a, const ExactScore& b) {
    const int length_a = bit_length(a.magnitude), length_b = bit_length(b.magnitude);
    if (length_a == 0 || length_b == 0) return length_a == 0 && length_b != 0;
    const int end_a = length_a + a.exponent, end_b = length_b + b.exponent;
    if (end_a != end_b) return end_a < end_b;
    return a.magnitude << (128 - length_a) < b.magnitude << (128 - length_b);
}

bool less(const ExactScore& a, const ExactScore& b) {
    const bool below_a = a.negative && a.magnitude != 0, below_b = b.negative && b.magnitude != 0;
    if (below_a != below_b) return below_a;
    return below_a ? less_magnitude(b, a) : less_magnitude(a, b);
}

}  // namespace

FindInexact inexact_finder(Dtype dtype, Score score) {
    const bool square = score == Score::square;
    switch (dtype) {
        case Dtype::int64:
            return finder_of_wide<std::int64_t>(score);
        case Dtype::uint64:
            return finder_of_wide<std::uint64_t>(score);
        case Dtype::int32:
            return square ? find_inexact<std::int32_t, Score::square> : nullptr;
        case Dtype::uint32:
            return square ? find_inexact<std::uint32_t, Score::square> : nullptr;
        case Dtype::float64:
            return square ? find_inexact<double, Score::square> : nullptr;
        default:
            return nullptr;
    }
}

bool ExactScores::assign(const ElementBlock& block, Dtype dtype, Score score, bool full) {
    columns_ = block.columns;
    scores_.clear();
    const bool finite = visit_dtype(dtype, [&]<class T>() {
        return visit_elements(block, [&](const std::byte* address) {
            const T value = load_element<T>(address);
            if constexpr (std::is_integral_v<T>) {
                scores_.push_back(score_of(element_of(value), score));
            } else {
                const double wide = to_double(value);
                if (!is_finite(wide)) return false;
                scores_.push_back(score_of(element_of(wide), score));
            }
            return true;
        });
    });
    if (!finite) return false;
    measure();
    offset_ = 0.0;
    exponent_ = 0;
    if (!full || !subtract_offset()) round_to_double();
    rank_scores();
    return true;
}

void ExactScores::measure() {
    lowest_bit_ = std::numeric_limits<int>::max();
    end_bit_ = std::numeric_limits<int>::min();
    for (const ExactScore& score : scores_) {
        if (score.magnitude == 0) continue;
        lowest_bit_ = std::min(lowest_bit_, trailing_zeros(score.magnitude) + score.exponent);
        end_bit_ = std::max(end_bit_, bit_length(score.magnitude) + score.exponent);
    }
    if (lowest_bit_ > end_bit_) lowest_bit_ = end_bit_ = 0;
}

// Full tiles keep exactly n of every row: what all scores have in common makes no difference.
bool ExactScores::subtract_offset() {
    const bool integers = std::all_of(scores_.begin(), scores_.end(),
                                      [](const ExactScore& score) { return score.exponent == 0; });
    if (!integers || end_bit_ >= 127) return false;
    const auto [least, most] = std::minmax_element(scores_.begin(), scores_.end(), less);
    const Int128 low = signed_value(*least), high = signed_value(*most);
    const auto leading = static_cast<Int128>(leading_bits(least->magnitude));
    const Int128 offset = least->negative ? -leading : leading;
    constexpr Int128 kLimit = Int128{1} << kShiftedBits;
    // `low` may lie below a negative offset, by less than the bits that were cut off.
    if (low - offset <= -kLimit || high - offset >= kLimit) return false;
    offset_ = static_cast<double>(offset);
    values_.resize(scores_.size());
    rests_.assign(scores_.size(), 0.0);
    std::transform(scores_.begin(), scores_.end(), values_.begin(), [&](const ExactScore& score) {
        return static_cast<double>(static_cast<std::int64_t>(signed_value(score) - offset));
    });
    return true;
}

void ExactScores::round_to_double() {
    if (end_bit_ < kLeastEnd || end_bit_ > kLargestEnd) exponent_ = end_bit_;
    values_.resize(scores_.size());
    rests_.resize(scores_.size());
    for (std::size_t k = 0; k < scores_.size(); ++k) {
        const auto& [magnitude, exponent, negative] = scores_[k];
        const Uint128 leading = leading_bits(magnitude);
        const double sign = negative ? -1.0 : 1.0;
        const auto scaled = [&](Uint128 part) {
            return std::ldexp(sign * static_cast<double>(part), exponent - exponent_);
        };
        values_[k] = scaled(leading);
        rests_[k] = scaled(magnitude - leading);
    }
}

void ExactScores::rank_scores() {
    order_.resize(scores_.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto score = [&](int k) -> const ExactScore& {
        return scores_[static_cast<std::size_t>(k)];
    };
    std::sort(order_.begin(), order_.end(), [&](int a, int b) { return less(score(a), score(b)); });
    ranks_.resize(scores_.size());
    int rank = 0;
    for (std::size_t k = 0; k < order_.size(); ++k) {
        if (k > 0 && less(score(order_[k - 1]), score(order_[k]))) ++rank;
        ranks_[static_cast<std::size_t>(order_[k])] = rank;
    }
    // Zero, or where it would be: the number of different scores below it.
    int zero = 0;
    bool has_zero = false;
    for (std::size_t k = 0; k < scores_.size(); ++k) {
        has_zero |= scores_[k].magnitude == 0;
        if (scores_[k].negative && scores_[k].magnitude != 0) zero = std::max(zero, ranks_[k] + 1);
    }
    const int above = has_zero ? 0 : 1;
    for (int& entry : ranks_) entry -= entry < zero ? zero : zero - above;
}

}  // namespace tnm
