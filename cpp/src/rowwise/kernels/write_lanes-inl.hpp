// Writing the flags of groups, which come in lines of kGroupLanes bytes, to wherever they belong.
#pragma once

#include "rowwise/kernels/read_lanes-inl.hpp"

namespace tnm::TNM_ISA {

// Of as many vectors as an element has bytes, -1 where an entry is kept, the flags side by side.
template <class T, class Vector>
inline __attribute__((always_inline)) Vector join_flags(const Vector* kept) {
    Vector together{};
    for (int v = 0; v < static_cast<int>(sizeof(T)); ++v)
        together |= kept[v] & splat<Vector>(static_cast<T>(T{1} << 8 * v));
    return together;
}

// From bytes next to each other of several vectors to one vector after another.
template <class T, class Vector>
inline __attribute__((always_inline)) Bytes in_order_of_lanes(Vector joined) {
    const auto bytes = reinterpret_cast<Bytes>(joined);
    return [&]<std::size_t... l>(std::index_sequence<l...>) __attribute__((always_inline)) {
        return __builtin_shufflevector(bytes, bytes,
                                       (l % kLanes<Vector> * sizeof(T) + l / kLanes<Vector>)...);
    }(std::make_index_sequence<kVectorBytes>{});
}

// From lines of vectors, -1 where an entry is kept, to lines of kGroupLanes bytes.
template <class T>
inline void gather_flags(const Lines<T>& kept, int lanes, std::uint8_t* flags) {
    using Vector = typename VectorOf<T>::type;
    for (int lane = 0; lane < lanes; lane += kVectorBytes)
        for (int k = 0; k < kept.m; ++k) {
            Vector line[sizeof(T)];
            for (int v = 0; v < static_cast<int>(sizeof(T)); ++v)
                line[v] = load<Vector>(kept.vector(lane + v * kLanes<Vector>, k));
            store(flags + k * kGroupLanes + lane, in_order_of_lanes<T>(join_flags<T>(line)));
        }
}

// The two halves of what is no power of two overlap.
template <int kHalf>
inline void copy_halves(const std::uint8_t* source, int bytes, std::uint8_t* target) {
    std::uint8_t halves[2][kHalf];
    std::memcpy(halves[0], source, kHalf);
    std::memcpy(halves[1], source + bytes - kHalf, kHalf);
    std::memcpy(target, halves[0], kHalf);
    std::memcpy(target + bytes - kHalf, halves[1], kHalf);
}

// Up to 16 bytes.
inline void copy_short(const std::uint8_t* source, int bytes, std::uint8_t* target) {
    if (bytes >= 8) return copy_halves<8>(source, bytes, target);
    if (bytes >= 4) return copy_halves<4>(source, bytes, target);
    for (int k = 0; k < bytes; ++k) target[k] = source[k];
}

inline void copy_line(const std::uint8_t* source, int bytes, std::uint8_t* target) {
    for (; bytes > 16; bytes -= 16, source += 16, target += 16) std::memcpy(target, source, 16);
    copy_short(source, bytes, target);
}

// kLines lines; lane l goes to target[l * kLines].
template <int kLines>
inline void transpose_flags(const std::uint8_t* lines, int lanes, std::uint8_t* target) {
    for (int lane = 0; lane < lanes; lane += kVectorBytes) {
        Bytes line[kLines];
        for (int k = 0; k < kLines; ++k) line[k] = load<Bytes>(lines + k * kGroupLanes + lane);
        transpose_in_chunks<kLines>(line);
        for (int c = 0; c < kChunks; ++c)
            for (int i = 0; i < kLines; ++i)
                std::memcpy(target + (lane + c * kChunkBytes) * kLines + i * kChunkBytes,
                            reinterpret_cast<const std::byte*>(line + i) + c * kChunkBytes,
                            kChunkBytes);
    }
}

// Groups whose flags are neighbours: lines k .. k + bytes - 1 of each.
template <int kLines>
inline void write_pieces(const std::uint8_t* lines, int bytes, std::int64_t between, int lanes,
                         std::uint8_t* flags) {
    if (bytes == kLines && between == kLines && lanes == kGroupLanes)
        return transpose_flags<kLines>(lines, lanes, flags);
    alignas(64) std::uint8_t turned[kGroupLanes * kLines];
    transpose_flags<kLines>(lines, lanes, turned);
    for (int lane = 0; lane < lanes; ++lane)
        copy_short(turned + lane * kLines, bytes, flags + lane * between);
}

inline void write_neighbouring_entries(const std::uint8_t* lines, int m, std::int64_t between,
                                       const LaneRun& run) {
    if (m <= 4) return write_pieces<4>(lines, m, between, run.lanes, run.flags);
    if (m <= 8) return write_pieces<8>(lines, m, between, run.lanes, run.flags);
    if (m < 16) return write_pieces<16>(lines, m, between, run.lanes, run.flags);
    for (int next = 0; next < m; next += 16) {
        const int k = next + 16 <= m ? next : m - 16;
        write_pieces<16>(lines + k * kGroupLanes, 16, between, run.lanes, run.flags + k);
    }
}

inline void write_lanes(const std::uint8_t* flags, int m, const GroupStrides& strides,
                        const LaneRun& run) {
    const std::uint8_t* lines = flags + run.first_lane;
    if (strides.in_group == 1) return write_neighbouring_entries(lines, m, strides.between, run);
    for (int k = 0; k < m; ++k) {
        const std::uint8_t* line = lines + k * kGroupLanes;
        std::uint8_t* target = run.flags + k * strides.in_group;
        if (strides.between == 1 && run.lanes == kGroupLanes)
            std::memcpy(target, line, kGroupLanes);
        else if (strides.between == 1)
            copy_line(line, run.lanes, target);
        else
            for (int lane = 0; lane < run.lanes; ++lane)
                target[lane * strides.between] = line[lane];
    }
}

}  // namespace tnm::TNM_ISA
