// Groups of four, straight from memory to memory: nothing but registers lies between.
#pragma once

#include "rowwise/kernels/rank-inl.hpp"
#include "rowwise/kernels/write_lanes-inl.hpp"

namespace tnm::TNM_ISA {

// The flags of a vector of four-byte groups, in the order of memory, where chunk c holds those of
// chunk c of several vectors, of kTogether groups each.
template <int kTogether, class Vector>
inline Bytes in_order_of_chunks(Vector flags) {
    constexpr int kInChunk = 4 / kTogether;
    const auto groups = reinterpret_cast<Int32s>(flags);
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        constexpr auto source = [](int lane) {
            const int unit = lane / kTogether;
            return (unit % kChunks * kInChunk + unit / kChunks) * kTogether + lane % kTogether;
        };
        return reinterpret_cast<Bytes>(
            __builtin_shufflevector(groups, groups, source(static_cast<int>(l))...));
    }(std::make_index_sequence<kLanes<Int32s>>{});
}

// Four vectors of elements; the groups are taken apart and put together again within chunks.
template <class T>
inline bool mask_row_of_fours(const RowwiseTask& task, const LaneRun& run) {
    using Vector = typename VectorOf<T>::type;
    constexpr int kStep = kLanes<Vector>, kBytes = sizeof(T), kWords = 4 / kBytes;
    const Selection<T> selection(task);
    Vector wrong{};
    for (int first = 0; first < 4 * kGroupLanes; first += 4 * kStep) {
        Vector line[4];
        for (int i = 0; i < 4; ++i)
            line[i] = load<Vector>(
                reinterpret_cast<const T*>(run.elements + (first + i * kStep) * kBytes));
        transpose_in_chunks<4, kChunkBytes / kBytes>(line);
        selection.select_of_four(line, wrong);
        Vector flags[kWords];
        for (int w = 0; w < kWords; ++w) flags[w] = join_flags<T>(line + w * kBytes);
        transpose_in_chunks<kWords>(flags);
        for (int w = 0; w < kWords; ++w)
            store(run.flags + first + w * kVectorBytes, in_order_of_chunks<kWords>(flags[w]));
    }
    return !any_set(wrong);
}

template <class T>
inline bool mask_rows_of_fours(const RowwiseTask& task, const LaneRun& run) {
    using Vector = typename VectorOf<T>::type;
    constexpr int kStep = kLanes<Vector>, kBytes = sizeof(T);
    const Selection<T> selection(task);
    Vector wrong{};
    for (int first = 0; first < kGroupLanes; first += kVectorBytes) {
        Vector kept[4][kBytes];
        for (int v = 0; v < kBytes; ++v) {
            Vector line[4];
            for (int k = 0; k < 4; ++k) {
                const std::byte* const source =
                    run.elements + k * task.elements.in_group + (first + v * kStep) * kBytes;
                // Of the next run of lanes: memory does not follow so many short pieces by itself.
                __builtin_prefetch(source + kGroupLanes * kBytes);
                line[k] = load<Vector>(reinterpret_cast<const T*>(source));
            }
            selection.select_of_four(line, wrong);
            for (int k = 0; k < 4; ++k) kept[k][v] = line[k];
        }
        for (int k = 0; k < 4; ++k)
            store(run.flags + k * task.flags.in_group + first,
                  in_order_of_lanes<T>(join_flags<T>(kept[k])));
    }
    return !any_set(wrong);
}

}  // namespace tnm::TNM_ISA
