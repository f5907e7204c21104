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
// Sums of all scores of a line are exact in double, and sums of prices, where all scores are
// multiples of some power of two that leaves them so many bits.
constexpr int kExactBits = 46;
// Of roots between these ends, no square over- or underflows.
constexpr int kLeastRootExponent = -450, kLargestRootExponent = 500;
// Of what is left when an offset is taken.
constexpr int kShiftedBits = 48;
// Fractions that differ by less than 2^-10 of themselves.
constexpr double kClose = 0x1p-10;
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

// Calls visit(address) for the elements of a block, row by row, until it returns false.
template <class Visit>
bool visit_elements(const ElementBlock& block, const Visit& visit) {
    for (int i = 0; i < block.rows; ++i)
        for (int j = 0; j < block.columns; ++j)
            if (!visit(block.data + i * block.row_stride + j * block.column_stride)) return false;
    return true;
}

// The bits that all scores seen so far take, as multiples of their lowest bit.
class BitRange {
  public:
    void add(const ExactScore& score) {
        if (score.magnitude == 0) return;
        lowest = std::min(lowest, trailing_zeros(score.magnitude) + score.exponent);
        end = std::max(end, bit_length(score.magnitude) + score.exponent);
    }
    bool empty() const { return lowest > end; }

    int lowest = std::numeric_limits<int>::max() / 2;
    int end = std::numeric_limits<int>::min() / 2;
};

template <class T, Score kScore>
bool find_long_integers(const ElementBlock& block) {
    BitRange range;
    return !visit_elements(block, [&](const std::byte* address) {
        range.add(score_of(element_of(load_element<T>(address)), kScore));
        return range.end - range.lowest <= kExactBits;
    });
}

template <class T>
FindInexact finder_of_integers(Score score) {
    return score == Score::square ? find_long_integers<T, Score::square>
                                  : find_long_integers<T, Score::abs>;
}

// Whether squares over- or underflow, or lose bits; NaN and infinity count among them. Not zero.
bool is_extreme_root(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value) & ~(std::uint64_t{1} << 63);
    const int end = static_cast<int>(bits >> 52) - 1022;
    return bits != 0 && (end < kLeastRootExponent || end > kLargestRootExponent);
}

bool has_extreme_roots(const ElementBlock& block) {
    bool extreme = false;  // nearly never: there is no early end to look for
    for (int i = 0; i < block.rows; ++i)
        for (int j = 0; j < block.columns; ++j)
            extreme |= is_extreme_root(
                load_element<double>(block.data + i * block.row_stride + j * block.column_stride));
    return extreme;
}

// Full fractions nearly never lie so close together that sums are too coarse for what tells them
// apart: the first two end most searches.
template <Score kScore>
bool find_close_fractions(const ElementBlock& block) {
    double least = score_of(load_element<double>(block.data), kScore), most = least;
    const bool close = visit_elements(block, [&](const std::byte* address) {
        const double score = score_of(load_element<double>(address), kScore);
        least = std::min(least, score);
        most = std::max(most, score);
        return most - least <= kClose * std::min(std::fabs(least), std::fabs(most));
    });
    if (!close || least == most) return false;
    BitRange range;
    return !visit_elements(block, [&](const std::byte* address) {
        range.add(score_of(element_of(load_element<double>(address)), kScore));
        return range.end - range.lowest <= kExactBits;
    });
}

bool find_inexact_squares(const ElementBlock& block) {
    return has_extreme_roots(block) || find_close_fractions<Score::square>(block);
}

FindInexact finder_of_doubles(Score score) {
    if (score == Score::square) return find_inexact_squares;
    return score == Score::abs ? find_close_fractions<Score::abs>
                               : find_close_fractions<Score::identity>;
}

// In units of 2^unit, of which it is a multiple.
Int128 in_units(const ExactScore& score, int unit) {
    const int shift = score.exponent - unit;
    const auto magnitude = static_cast<Int128>(shift < 0 ? score.magnitude >> std::min(-shift, 127)
                                                         : score.magnitude << shift);
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
            return finder_of_integers<std::int64_t>(score);
        case Dtype::uint64:
            return finder_of_integers<std::uint64_t>(score);
        case Dtype::int32:
            return square ? finder_of_integers<std::int32_t>(score) : nullptr;
        case Dtype::uint32:
            return square ? finder_of_integers<std::uint32_t>(score) : nullptr;
        case Dtype::float64:
            return finder_of_doubles(score);
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
    BitRange range;
    for (const ExactScore& score : scores_) range.add(score);
    lowest_bit_ = range.empty() ? 0 : range.lowest;
    end_bit_ = range.empty() ? 0 : range.end;
}

// Full tiles keep exactly n of every row: what all scores have in common makes no difference.
bool ExactScores::subtract_offset() {
    const bool in_range = lowest_bit_ > kLeastEnd && end_bit_ < kLargestEnd;
    if (!in_range || end_bit_ - lowest_bit_ >= 127) return false;
    const auto [least, most] = std::minmax_element(scores_.begin(), scores_.end(), less);
    const Int128 low = in_units(*least, lowest_bit_), high = in_units(*most, lowest_bit_);
    const auto leading =
        static_cast<Int128>(leading_bits(static_cast<Uint128>(low < 0 ? -low : low)));
    const Int128 offset = low < 0 ? -leading : leading;
    // `low` may lie below a negative offset, by less than the bits that were cut off.
    constexpr Int128 kLimit = Int128{1} << kShiftedBits;
    if (low - offset <= -kLimit || high - offset >= kLimit) return false;
    offset_ = std::ldexp(static_cast<double>(offset), lowest_bit_);
    values_.resize(scores_.size());
    rests_.assign(scores_.size(), 0.0);
    std::transform(scores_.begin(), scores_.end(), values_.begin(), [&](const ExactScore& score) {
        const auto left = static_cast<std::int64_t>(in_units(score, lowest_bit_) - offset);
        return std::ldexp(static_cast<double>(left), lowest_bit_);
    });
    return true;
}

void ExactScores::round_to_double() {
    if (end_bit_ < kLeastEnd || end_bit_ > kLargestEnd) exponent_ = end_bit_;
    values_.resize(scores_.size());
    rests_.resize(scores_.size());
    for (std::size_t k = 0; k < scores_.size(); ++k) {
        const ExactScore& score = scores_[k];
        const Uint128 leading = leading_bits(score.magnitude);
        const double sign = score.negative ? -1.0 : 1.0;
        const auto scaled = [&](Uint128 part) {
            return std::ldexp(sign * static_cast<double>(part), score.exponent - exponent_);
        };
        values_[k] = scaled(leading);
        rests_[k] = scaled(score.magnitude - leading);
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
