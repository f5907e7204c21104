// Reading groups, wherever they lie, so that every lane holds one of them.
//
// A vector of lanes has its lines one after another, padded_lines() of them.
#pragma once

#include "rowwise/rowwise_kernels.hpp"
#include "simd/transpose-inl.hpp"

namespace tnm::TNM_ISA {

// Lines are compared with four others at a time.
inline constexpr int kLinesAtOnce = 4;
inline int padded_lines(int m) {
    return (m + kLinesAtOnce - 1) / kLinesAtOnce * kLinesAtOnce;
}

template <class T>
struct Lines {
    using Vector = typename VectorOf<T>::type;
    T* data;
    int m;

    T* vector(int lane, int line) const {
        return data + (lane / kLanes<Vector> * padded_lines(m) + line) * kLanes<Vector>;
    }
};

// Of the chunks that chunk(first), chunk(first + 1) .. are.
template <class T, int kBytes = kVectorBytes, class Chunk>
inline __attribute__((always_inline)) auto join_chunks(const Chunk& chunk, int first = 0) {
    if constexpr (kBytes == kChunkBytes) {
        return chunk(first);
    } else {
        const auto low = join_chunks<T, kBytes / 2>(chunk, first);
        const auto high = join_chunks<T, kBytes / 2>(chunk, first + kBytes / 2 / kChunkBytes);
        return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
            return __builtin_shufflevector(low, high, l...);
        }(std::make_index_sequence<kBytes / sizeof(T)>{});
    }
}

// Groups whose entries are neighbours, in either direction: chunks of them, transposed. Reads a
// chunk where a group is smaller than that.
template <class T, int kDirection>
inline void read_neighbouring_entries(const LaneRun& run, std::int64_t between, int lanes,
                                      const Lines<T>& lines) {
    using Vector = typename VectorOf<T>::type;
    using Chunk = typename VectorOf<T, kChunkBytes>::type;
    constexpr int kInChunk = kLanes<Chunk>;
    const int m = lines.m;
    for (int lane = 0; lane < lanes; lane += kLanes<Vector>) {
        T* const target = lines.vector(run.first_lane + lane, kDirection > 0 ? 0 : m - 1);
        const std::byte* const group =
            run.elements + lane * between - (kDirection > 0 ? 0 : (m - 1) * sizeof(T));
        for (int next = 0; next < m; next += kInChunk) {
            // The last chunk overlaps the one before.
            const int first = next + kInChunk <= m || m < kInChunk ? next : m - kInChunk;
            const std::byte* const source = group + first * static_cast<int>(sizeof(T));
            Vector line[kInChunk];
            for (int a = 0; a < kInChunk; ++a)
                line[a] = join_chunks<T>([&](int c) __attribute__((always_inline)) {
                    return load<Chunk>(
                        reinterpret_cast<const T*>(source + (c * kInChunk + a) * between));
                });
            transpose_in_chunks<kInChunk>(line);
            for (int b = 0; b < kInChunk; ++b)
                if (b < m - first)
                    store(target + kDirection * (first + b) * kLanes<Vector>, line[b]);
        }
    }
}

template <class T>
inline void read_neighbouring_groups(const LaneRun& run, std::int64_t in_group, int lanes,
                                     const Lines<T>& lines) {
    using Vector = typename VectorOf<T>::type;
    for (int k = 0; k < lines.m; ++k) {
        const T* source = reinterpret_cast<const T*>(run.elements + k * in_group);
        for (int lane = 0; lane < lanes; lane += kLanes<Vector>) {
            __builtin_prefetch(source + lane + kGroupLanes);
            store(lines.vector(run.first_lane + lane, k), load<Vector>(source + lane));
        }
    }
}

template <int kCount, class T>
inline void read_column(const std::byte* source, const GroupStrides& strides, int count, int m,
                        T* target) {
    constexpr int kStep = kLanes<typename VectorOf<T>::type>;
    if constexpr (kCount != 0) count = kCount;
    for (int k = 0; k < m; ++k, source += strides.in_group, target += kStep)
        for (int lane = 0; lane < count; ++lane)
            std::memcpy(target + lane, source + lane * strides.between, sizeof(T));
}

template <class T>
inline void read_one_by_one(const LaneRun& run, const GroupStrides& strides, int lane,
                            const Lines<T>& lines) {
    constexpr int kStep = kLanes<typename VectorOf<T>::type>;
    while (lane < run.lanes) {
        const int first = (run.first_lane + lane) % kStep, left = run.lanes - lane;
        const int count = kStep - first < left ? kStep - first : left;
        const std::byte* source = run.elements + lane * strides.between;
        T* const target = lines.vector(run.first_lane + lane, 0) + first;
        if (count == kStep)
            read_column<kStep>(source, strides, count, lines.m, target);
        else
            read_column<0>(source, strides, count, lines.m, target);
        lane += count;
    }
}

// How many lanes can be read a chunk at a time without reading beyond those in memory.
inline int lanes_with_chunks(const LaneRun& run, std::int64_t between, std::int64_t group_bytes) {
    if (group_bytes >= kChunkBytes) return run.lanes;
    if (between <= 0) return 0;
    const std::int64_t lanes =
        run.lanes_in_memory - (kChunkBytes - group_bytes + between - 1) / between;
    return lanes < 0 ? 0 : lanes < run.lanes ? static_cast<int>(lanes) : run.lanes;
}

template <class T>
inline void read_lanes(const LaneRun& run, const GroupStrides& strides, const Lines<T>& lines) {
    constexpr int kLanesAtOnce = kLanes<typename VectorOf<T>::type>;
    constexpr std::int64_t kItemBytes = sizeof(T);
    int done = 0;
    if (run.first_lane % kLanesAtOnce == 0) {
        if (strides.between == kItemBytes) {
            done = run.lanes / kLanesAtOnce * kLanesAtOnce;
            read_neighbouring_groups(run, strides.in_group, done, lines);
        } else if (strides.in_group == kItemBytes || strides.in_group == -kItemBytes) {
            done = lanes_with_chunks(run, strides.between, lines.m * kItemBytes) / kLanesAtOnce *
                   kLanesAtOnce;
            if (strides.in_group > 0)
                read_neighbouring_entries<T, 1>(run, strides.between, done, lines);
            else
                read_neighbouring_entries<T, -1>(run, strides.between, done, lines);
        }
    }
    if (done < run.lanes) read_one_by_one(run, strides, done, lines);
}

}  // namespace tnm::TNM_ISA
