#include "tiles/load_scores.hpp"

#include <cmath>
#include <cstdlib>
#include <type_traits>

#include "tiles/element.hpp"

namespace tnm {
namespace {

// The score in T itself where that is exact, sparing a detour over double.
template <class Element, Score kScore, class T>
T load_score(const std::byte* address) {
    const Element element = load_element<Element>(address);
    if constexpr (std::is_same_v<T, float> && kScore != Score::square) {
        const T value = to_float(element);
        return kScore == Score::abs ? std::fabs(value) : value;
    } else {
        return static_cast<T>(score_of(to_double(element), kScore));
    }
}

template <class Element, Score kScore, class T>
bool load_row(const std::byte* source, std::int64_t step, int count, T* target) {
    bool finite = true;
    for (int j = 0; j < count; ++j) {
        target[j] = load_score<Element, kScore, T>(source + j * step);
        finite &= is_finite(target[j]);
    }
    return finite;
}

template <class Element, Score kScore, class T>
bool load_by_rows(const ElementBlock& block, T* scores, int stride) {
    constexpr std::int64_t kSize = sizeof(Element);
    bool finite = true;
    for (int i = 0; i < block.rows; ++i) {
        const std::byte* source = block.data + i * block.row_stride;
        T* target = scores + static_cast<std::ptrdiff_t>(i) * stride;
        // A constant step lets the compiler use vectors.
        finite &=
            block.column_stride == kSize
                ? load_row<Element, kScore>(source, kSize, block.columns, target)
                : load_row<Element, kScore>(source, block.column_stride, block.columns, target);
    }
    return finite;
}

template <class Element, Score kScore, class T>
bool load_by_columns(const ElementBlock& block, T* scores, int stride) {
    bool finite = true;
    for (int j = 0; j < block.columns; ++j) {
        const std::byte* source = block.data + j * block.column_stride;
        for (int i = 0; i < block.rows; ++i) {
            const T score = load_score<Element, kScore, T>(source + i * block.row_stride);
            scores[static_cast<std::ptrdiff_t>(i) * stride + j] = score;
            finite &= is_finite(score);
        }
    }
    return finite;
}

template <class Element, Score kScore, class T>
bool load(const ElementBlock& block, T* scores, int stride) {
    if (std::llabs(block.column_stride) <= std::llabs(block.row_stride))
        return load_by_rows<Element, kScore>(block, scores, stride);
    return load_by_columns<Element, kScore>(block, scores, stride);
}

}  // namespace

template <class T>
LoadScores<T> score_loader(Dtype dtype, Score score) {
    return visit_dtype(dtype, [score]<class Element>() -> LoadScores<T> {
        switch (score) {
            case Score::abs:
                return load<Element, Score::abs, T>;
            case Score::square:
                return load<Element, Score::square, T>;
            case Score::identity:
                break;
        }
        return load<Element, Score::identity, T>;
    });
}

template LoadScores<float> score_loader<float>(Dtype dtype, Score score);
template LoadScores<double> score_loader<double>(Dtype dtype, Score score);

}  // namespace tnm
