#include "tiles/load_scores.hpp"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "tiles/element.hpp"

namespace tnm {
namespace {

template <class T, Score kScore>
double load_score(const std::byte* address) {
    return score_of(to_double(load_element<T>(address)), kScore);
}

// NaN and infinity fail this comparison, so that a running conjunction needs no branch.
bool is_finite(double score) {
    return std::fabs(score) <= std::numeric_limits<double>::max();
}

template <class T, Score kScore>
bool load_by_rows(const ElementBlock& block, double* scores, int stride) {
    bool finite = true;
    for (int i = 0; i < block.rows; ++i) {
        const std::byte* source = block.data + i * block.row_stride;
        double* target = scores + static_cast<std::ptrdiff_t>(i) * stride;
        if (block.column_stride == sizeof(T)) {
            for (int j = 0; j < block.columns; ++j) {
                target[j] = load_score<T, kScore>(source + static_cast<std::ptrdiff_t>(j) *
                                                               std::ptrdiff_t{sizeof(T)});
                finite &= is_finite(target[j]);
            }
        } else {
            for (int j = 0; j < block.columns; ++j) {
                target[j] = load_score<T, kScore>(source + j * block.column_stride);
                finite &= is_finite(target[j]);
            }
        }
    }
    return finite;
}

template <class T, Score kScore>
bool load_by_columns(const ElementBlock& block, double* scores, int stride) {
    bool finite = true;
    for (int j = 0; j < block.columns; ++j) {
        const std::byte* source = block.data + j * block.column_stride;
        for (int i = 0; i < block.rows; ++i) {
            const double score = load_score<T, kScore>(source + i * block.row_stride);
            scores[static_cast<std::ptrdiff_t>(i) * stride + j] = score;
            finite &= is_finite(score);
        }
    }
    return finite;
}

template <class T, Score kScore>
bool load(const ElementBlock& block, double* scores, int stride) {
    if (std::llabs(block.column_stride) <= std::llabs(block.row_stride))
        return load_by_rows<T, kScore>(block, scores, stride);
    return load_by_columns<T, kScore>(block, scores, stride);
}

}  // namespace

LoadScores score_loader(Dtype dtype, Score score) {
    return visit_dtype(dtype, [score]<class T>() -> LoadScores {
        switch (score) {
            case Score::abs:
                return load<T, Score::abs>;
            case Score::square:
                return load<T, Score::square>;
            case Score::identity:
                break;
        }
        return load<T, Score::identity>;
    });
}

}  // namespace tnm
