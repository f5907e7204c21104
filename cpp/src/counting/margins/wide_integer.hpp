// Arithmetic on non-negative integers of several 64-bit limbs, least significant first.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace tnm {

__extension__ typedef unsigned __int128 Uint128;

// 128 rows with fewer than 2^132 choices each stay below 128 * 132 bits; some limbs are spare for
// carries.
inline constexpr int kMaxLimbs = 264;
inline constexpr int kSpareLimbs = 3;

using WideBuffer = std::array<std::uint64_t, kMaxLimbs + kSpareLimbs>;

// target += value * factor, where `target` has room for the carry. kLimbs is the number of limbs of
// `value`, or 0 if only `limbs` knows it.
template <int kLimbs>
inline void add_product(std::uint64_t* target, const std::uint64_t* value, int limbs,
                        std::uint64_t factor) {
    const int count = kLimbs > 0 ? kLimbs : limbs;
    std::uint64_t carry = 0;
    for (int i = 0; i < count; ++i) {
        const Uint128 sum = static_cast<Uint128>(value[i]) * factor + target[i] + carry;
        target[i] = static_cast<std::uint64_t>(sum);
        carry = static_cast<std::uint64_t>(sum >> 64);
    }
    target[count] += carry;
    if (target[count] < carry)
        for (int i = count + 1; ++target[i] == 0; ++i) {
        }
}

template <int kLimbs>
inline void add_product(std::uint64_t* target, const std::uint64_t* value, int limbs,
                        Uint128 factor) {
    add_product<kLimbs>(target, value, limbs, static_cast<std::uint64_t>(factor));
    const auto high = static_cast<std::uint64_t>(factor >> 64);
    if (high != 0) add_product<kLimbs>(target + 1, value, limbs, high);
}

// `number` without leading zeros.
inline std::vector<std::uint64_t> trimmed(std::vector<std::uint64_t> number) {
    while (!number.empty() && number.back() == 0) number.pop_back();
    return number;
}

// call.template operator()<k>(), k being the number of limbs, or 0 where it is large.
template <class Call>
auto with_constant_limbs(int limbs, const Call& call) {
    switch (limbs) {
        case 1:
            return call.template operator()<1>();
        case 2:
            return call.template operator()<2>();
        case 3:
            return call.template operator()<3>();
        case 4:
            return call.template operator()<4>();
        default:
            return call.template operator()<0>();
    }
}

// a -= b, where a >= b.
inline void subtract(std::uint64_t* a, const std::uint64_t* b, int limbs) {
    std::uint64_t borrow = 0;
    for (int i = 0; i < limbs; ++i) {
        const std::uint64_t before = a[i], difference = before - b[i];
        a[i] = difference - borrow;
        borrow = static_cast<std::uint64_t>(before < b[i]) |
                 static_cast<std::uint64_t>(difference < borrow);
    }
}

// target -= value * factor if that is not negative; returns whether it was done. `target` has one
// limb more than `value`.
template <int kLimbs>
inline bool subtract_product(std::uint64_t* target, const std::uint64_t* value, int limbs,
                             std::uint64_t factor) {
    const int count = kLimbs > 0 ? kLimbs : limbs;
    std::array<std::uint64_t, (kLimbs > 0 ? kLimbs : kMaxLimbs + kSpareLimbs)> rest;
    std::uint64_t carry = 0, borrow = 0;
    for (int i = 0; i < count; ++i) {
        const Uint128 product = static_cast<Uint128>(value[i]) * factor + carry;
        carry = static_cast<std::uint64_t>(product >> 64);
        const Uint128 difference =
            static_cast<Uint128>(target[i]) - static_cast<std::uint64_t>(product) - borrow;
        rest[i] = static_cast<std::uint64_t>(difference);
        borrow = static_cast<std::uint64_t>(difference >> 64) & 1U;
    }
    const Uint128 last = static_cast<Uint128>(target[count]) - carry - borrow;
    if (last >> 64 != 0) return false;
    std::copy_n(rest.begin(), count, target);
    target[count] = static_cast<std::uint64_t>(last);
    return true;
}

// Replaces `number` by its remainder modulo `value`, and returns the quotient, which must fit.
// `number` has one limb more than `value`; `value` is not zero.
std::uint64_t divide(std::uint64_t* number, const std::uint64_t* value, int limbs);

}  // namespace tnm
