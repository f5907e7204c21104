// Walking multisets of roots of unity, with the product of 1 + y z over their roots y and with one
// over the product of the factorials of the multiplicities.
//
// Of a product of so many factors only those coefficients are kept that the coefficient of
// z ^ row_sum of any full product can depend on.
#pragma once

#include "counting/regular/count_pass.hpp"
#include "counting/regular/kernels/residues-inl.hpp"

namespace tnm::TNM_ISA {

// A multiset of the bins before some bin.
struct Partial {
    int size = 0;
    int exponents = 0;      // added up, modulo the number of roots
    bool mirrored = false;  // whether it still is its own mirror image
    int previous = 0;       // how often the bin before is taken
};

class MultisetWalk {
  public:
    MultisetWalk(const CountPass& pass, int lane, const CountScratch& scratch)
        : pass_(pass),
          lane_(lane),
          scratch_(scratch),
          modulus_{load_doubles(pass.prime + lane), load_doubles(pass.inverse_prime + lane)} {}

    const Modulus& modulus() const { return modulus_; }
    double* polynomial(int bin) const {
        return scratch_.polynomials + static_cast<std::int64_t>(bin) * (pass_.row_sum + 1) * kWidth;
    }
    double* weight(int bin) const { return scratch_.weights + bin * kWidth; }

    // The empty multiset, before bin `bin`.
    Partial start(int bin) const {
        store(polynomial(bin), splat<Doubles>(1.0));
        store(weight(bin), splat<Doubles>(1.0));
        Partial partial;
        partial.mirrored = pass_.halved;
        return partial;
    }

    // Takes bin `bin` so often; `partial` is before it, the result before the next.
    Partial take(int bin, const Partial& partial, int times) const {
        copy_to_next(bin, partial.size);
        Partial next = child(bin, partial, 0);
        for (int k = 1; k <= times; ++k) next = once_more(bin, partial, next, k);
        return next;
    }

    // Calls visit(partial) for every way to take the bins from `bin` to `end` - 1. The polynomial
    // and the weight then stand before bin `end`.
    template <class Visit>
    void walk(int bin, int end, const Partial& partial, Visit& visit) const {
        if (bin == end) {
            visit(partial);
            return;
        }
        copy_to_next(bin, partial.size);
        int most = pass_.columns - partial.size;
        if (partial.mirrored && pass_.mirrors_previous[bin] && partial.previous < most)
            most = partial.previous;
        Partial next = child(bin, partial, 0);
        walk(bin + 1, end, next, visit);
        for (int k = 1; k <= most; ++k) {
            next = once_more(bin, partial, next, k);
            walk(bin + 1, end, next, visit);
        }
    }

  private:
    Partial child(int bin, const Partial& partial, int times) const {
        Partial next = partial;
        next.previous = times;
        next.mirrored =
            partial.mirrored && (!pass_.mirrors_previous[bin] || times == partial.previous);
        return next;
    }

    Partial once_more(int bin, const Partial& before, const Partial& now, int times) const {
        Partial next = child(bin, before, times);
        next.size = now.size + 1;
        next.exponents = now.exponents + pass_.exponent_of_bin[bin];
        if (next.exponents >= pass_.roots) next.exponents -= pass_.roots;

        const Doubles root =
            load_doubles(pass_.root_powers + pass_.exponent_of_bin[bin] * kGroupLanes + lane_);
        multiply(polynomial(bin + 1), next.size, root);
        double* factor = weight(bin + 1);
        const Doubles inverse = load_doubles(pass_.inverses + times * kGroupLanes + lane_);
        store(factor, modulus_.multiply(load_doubles(factor), inverse));
        return next;
    }

    int lowest(int size) const {
        const int begin = pass_.row_sum - (pass_.columns - size);
        return begin > 0 ? begin : 0;
    }
    int highest(int size) const { return size < pass_.row_sum ? size : pass_.row_sum; }

    // By 1 + root z; `size` is the number of factors afterwards.
    void multiply(double* coefficients, int size, Doubles root) const {
        const int begin = lowest(size);
        int u = highest(size);
        Doubles higher = load_doubles(coefficients + u * kWidth);
        if (u == size) higher = splat<Doubles>(0.0);  // beyond the degree so far
        for (; u > begin; --u) {
            const Doubles lower = load_doubles(coefficients + (u - 1) * kWidth);
            store(coefficients + u * kWidth, modulus_.reduce(higher + lower * root));
            higher = lower;
        }
        if (begin == 0) return;
        const Doubles lower = load_doubles(coefficients + (begin - 1) * kWidth);
        store(coefficients + begin * kWidth, modulus_.reduce(higher + lower * root));
    }

    void copy_to_next(int bin, int size) const {
        const int end = highest(size);
        for (int u = lowest(size); u <= end; ++u)
            store(polynomial(bin + 1) + u * kWidth, load_doubles(polynomial(bin) + u * kWidth));
        store(weight(bin + 1), load_doubles(weight(bin)));
    }

    static constexpr int kGroupLanes = 8;

    const CountPass& pass_;
    int lane_;
    const CountScratch& scratch_;
    Modulus modulus_;
};

}  // namespace tnm::TNM_ISA
