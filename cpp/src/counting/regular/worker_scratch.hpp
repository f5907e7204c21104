// The memory that one thread works in.
#pragma once

#include <cstdint>
#include <vector>

#include "counting/regular/count_pass.hpp"
#include "counting/regular/pass_tables.hpp"

namespace tnm {

// For all vectors of a group.
class WorkerScratch {
  public:
    WorkerScratch(const PassTables& tables, int lanes) : vectors_(kGroupPrimes / lanes) {
        const CountPass& pass = tables.pass;
        const std::int64_t groups = std::int64_t{pass.columns + 1} * pass.roots;
        const std::int64_t states = pass.roots + 1;
        bucket_stride_ = tables.bucket_vectors * lanes;
        weight_stride_ = groups * kBucketVectors * lanes;
        group_stride_ = groups;
        lanes_ = lanes;
        bucket_polynomials_.resize(bucket_stride_ * vectors_);
        bucket_weights_.resize(weight_stride_ * vectors_);
        bucket_sizes_.resize(groups * vectors_);
        polynomials_.resize(states * (pass.row_sum + 1) * lanes);
        weights_.resize(states * lanes);
        sums_.resize(kGroupPrimes);
    }

    CountScratch of(int vector) {
        CountScratch scratch;
        scratch.bucket_polynomials = bucket_polynomials_.data() + vector * bucket_stride_;
        scratch.bucket_weights = bucket_weights_.data() + vector * weight_stride_;
        scratch.bucket_sizes = bucket_sizes_.data() + vector * group_stride_;
        scratch.polynomials = polynomials_.data();
        scratch.weights = weights_.data();
        scratch.sum = sums_.data() + vector * lanes_;
        return scratch;
    }

    int vectors() const { return vectors_; }
    double sum(int lane) const { return sums_[lane]; }

  private:
    int vectors_;
    int lanes_ = 0;
    std::int64_t bucket_stride_ = 0, weight_stride_ = 0, group_stride_ = 0;
    std::vector<double> bucket_polynomials_, bucket_weights_, polynomials_, weights_, sums_;
    std::vector<int> bucket_sizes_;
};

}  // namespace tnm
