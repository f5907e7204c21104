#include "tiles/load_scores.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>

#include "tiles/element.hpp"

namespace tnm {
namespace {

template <class Element, Score kScore>
double load_score(const std::byte* address) {
    return score_of(to_double(load_element<Element>(address)), kScore);
}

// Finds numbers that are not finite by adding one to their exponents, which then overflow into the
// sign: integers, because of comparisons and flags the compiler makes no vectors.
class FiniteCheck {
  public:
    void add(double number) {
        constexpr std::uint64_t kExponent = 0x7ff0000000000000, kOne = 0x0010000000000000;
        overflows_ |= (std::bit_cast<std::uint64_t>(number) & kExponent) + kOne;
    }
    bool all() const { return overflows_ >> 63 == 0; }

  private:
    std::uint64_t overflows_ = 0;
};

template <class Element, Score kScore>
bool load_row(const std::byte* source, std::int64_t step, int count, double* target) {
    FiniteCheck finite;
    for (int j = 0; j < count; ++j) {
        target[j] = load_score<Element, kScore>(source + j * step);
        finite.add(target[j]);
    }
    return finite.all();
}

template <class Element, Score kScore>
bool load_by_rows(const ElementBlock& block, double* scores, int stride) {
    constexpr std::int64_t kSize = sizeof(Element);
    bool finite = true;
    for (int i = 0; i < block.rows; ++i) {
        const std::byte* source = block.data + i * block.row_stride;
        double* target = scores + static_cast<std::ptrdiff_t>(i) * stride;
        // A constant step lets the compiler use vectors.
        finite &=
            block.column_stride == kSize
                ? load_row<Element, kScore>(source, kSize, block.columns, target)
                : load_row<Element, kScore>(source, block.column_stride, block.columns, target);
    }
    return finite;
}

template <class Element, Score kScore>
bool load_by_columns(const ElementBlock& block, double* scores, int stride) {
    bool finite = true;
    for (int j = 0; j < block.columns; ++j) {
        const std::byte* source = block.data + j * block.column_stride;
        for (int i = 0; i < block.rows; ++i) {
            const double score = load_score<Element, kScore>(source + i * block.row_stride);
            scores[static_cast<std::ptrdiff_t>(i) * stride + j] = score;
            finite &= is_finite(score);
        }
    }
    return finite;
}

template <class Element, Score kScore>
bool load(const ElementBlock& block, double* scores, int stride) {
    if (std::llabs(block.column_stride) <= std::llabs(block.row_stride))
        return load_by_rows<Element, kScore>(block, scores, stride);
    return load_by_columns<Element, kScore>(block, scores, stride);
}

}  // namespace

LoadScores score_loader(Dtype dtype, Score score) {
    return visit_dtype(dtype, [score]<class Element>() -> LoadScores {
        switch (score) {
            case Score::abs:
                return load<Element, Score::abs>;
            case Score::square:
                return load<Element, Score::square>;
            case Score::identity:
                break;
        }
        return load<Element, Score::identity>;
    });
}

}  // namespace tnm
