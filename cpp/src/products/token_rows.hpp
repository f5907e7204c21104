// Where the tokens of an array with batch axes begin.
#pragma once

#include <cstdint>

#include "tnm/array_view.hpp"

namespace tnm {

// Tokens are counted in C order over all axes but the last.
inline std::int64_t count_tokens(const Strides& strides) {
    return strides.planes() * strides.rows();
}

template <class Byte>
void find_tokens(Byte* data, const Strides& strides, std::int64_t first, int count, Byte** tokens) {
    for (int t = 0; t < count; ++t) {
        const std::int64_t token = first + t;
        // Tokens without entries may be nowhere.
        if (data == nullptr)
            tokens[t] = nullptr;
        else
            tokens[t] = data + strides.offset(token / strides.rows(), token % strides.rows(), 0);
    }
}

}  // namespace tnm
