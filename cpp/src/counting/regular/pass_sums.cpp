#include "counting/regular/pass_sums.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "counting/regular/modular.hpp"
#include "parallel/parallel_for.hpp"
#include "simd/kernel_tables.hpp"

namespace tnm {

TNM_KERNELS_IN_USE(CountKernels, kCountKernels, count_kernels)

namespace {

constexpr double kEvaluationsOfSlice = 2e6;
constexpr double kMostSlices = 1e6;

// The memory that one thread works in, for all vectors of a group.
class WorkerScratch {
  public:
    WorkerScratch(const PassTables& tables, int lanes)
        : vectors_(kGroupPrimes / lanes),
          lanes_(lanes),
          groups_(std::int64_t{tables.pass.columns + 1} * tables.pass.roots),
          bucket_stride_(tables.bucket_vectors * lanes),
          weight_stride_(groups_ * kBucketVectors * lanes),
          bucket_polynomials_(bucket_stride_ * vectors_),
          bucket_weights_(weight_stride_ * vectors_),
          polynomials_(std::int64_t{tables.pass.roots + 1} * (tables.pass.row_sum + 1) * lanes),
          weights_(std::int64_t{tables.pass.roots + 1} * lanes),
          sums_(kGroupPrimes),
          bucket_sizes_(groups_ * vectors_) {}

    CountScratch of(int vector) {
        return {.bucket_polynomials = bucket_polynomials_.data() + vector * bucket_stride_,
                .bucket_weights = bucket_weights_.data() + vector * weight_stride_,
                .bucket_sizes = bucket_sizes_.data() + vector * groups_,
                .polynomials = polynomials_.data(),
                .weights = weights_.data(),
                .sum = sums_.data() + vector * lanes_};
    }

    int vectors() const { return vectors_; }
    double sum(int lane) const { return sums_[lane]; }

  private:
    int vectors_, lanes_;
    std::int64_t groups_, bucket_stride_, weight_stride_;
    std::vector<double> bucket_polynomials_, bucket_weights_, polynomials_, weights_, sums_;
    std::vector<int> bucket_sizes_;
};

}  // namespace

PassSums::PassSums(std::shared_ptr<const CountProblem> problem, int group, int class_index,
                   PassMemory memory)
    : problem_(std::move(problem)),
      part_(problem_->classes[class_index]),
      primes_(problem_->plan.primes.data() + group * kGroupPrimes),
      slices_(part_, problem_->roots, problem_->margins.columns,
              std::max(kEvaluationsOfSlice, part_.evaluations / kMostSlices)),
      tables_(*problem_, part_, primes_),
      memory_(std::move(memory)) {
    fill_table();
}

RightTable PassSums::table_of(int vector, int lanes) const {
    return {table_.polynomials + vector * tables_.table_vectors * lanes,
            table_.weights + vector * tables_.first_right.back() * lanes};
}

void PassSums::fill_table() {
    const auto fit = [](std::vector<double>& memory, std::int64_t vectors) {
        if (std::ssize(memory) < vectors * kGroupPrimes) {
            memory.clear();
            memory.resize(vectors * kGroupPrimes);
        }
    };
    fit(memory_.polynomials, tables_.table_vectors);
    fit(memory_.weights, tables_.first_right.back());
    table_ = {memory_.polynomials.data(), memory_.weights.data()};
    const CountKernels& kernels = count_kernels();
    WorkerScratch scratch(tables_, kernels.lanes);
    for (int v = 0; v < scratch.vectors(); ++v) {
        std::vector<std::int64_t> cursors = tables_.first_right;
        kernels.fill_table(tables_.pass, v * kernels.lanes, table_of(v, kernels.lanes),
                           cursors.data(), scratch.of(v));
    }
}

Status PassSums::add_slices(std::int64_t begin, std::int64_t end, GroupSums& sums,
                            const Execution& execution) const {
    if (begin < 0 || end > slices() || begin > end) return Status::invalid_argument;
    const CountKernels& kernels = count_kernels();
    const CountPass& pass = tables_.pass;
    std::mutex mutex;
    std::vector<std::unique_ptr<WorkerScratch>> workers;
    const Status added = parallel_for(end - begin, execution, [&]() -> Worker {
        auto own = std::make_unique<WorkerScratch>(tables_, kernels.lanes);
        WorkerScratch* scratch = own.get();
        {
            const std::lock_guard lock(mutex);
            workers.push_back(std::move(own));
        }
        return [&, scratch](std::int64_t piece) {
            for (int v = 0; v < scratch->vectors(); ++v)
                kernels.add_slice(pass, v * kernels.lanes, table_of(v, kernels.lanes),
                                  slices_[begin + piece], scratch->of(v));
            return Status::ok;
        };
    });
    if (added != Status::ok) return added;
    const Status finished = parallel_each(std::ssize(workers), 1, execution, [&](auto worker) {
        WorkerScratch& scratch = *workers[worker];
        for (int v = 0; v < scratch.vectors(); ++v)
            kernels.finish(pass, v * kernels.lanes, table_of(v, kernels.lanes), scratch.of(v));
    });
    if (finished != Status::ok) return finished;

    for (int lane = 0; lane < kGroupPrimes; ++lane) {
        const std::uint32_t prime = primes_[lane];
        const std::int64_t modulus = prime;
        std::int64_t sum = 0;
        for (const auto& worker : workers) sum += static_cast<std::int64_t>(worker->sum(lane));
        const auto residue = static_cast<std::uint32_t>((sum % modulus + modulus) % modulus);
        const std::uint32_t more = multiply_mod(residue, factor_of_class(prime), prime);
        sums[lane] = (sums[lane] + more) % prime;
    }
    return Status::ok;
}

// What a sum over the multisets of the class is to be multiplied with: the product of the roots,
// and how many classes contribute the same.
std::uint32_t PassSums::factor_of_class(std::uint32_t prime) const {
    const std::uint32_t root = root_of_unity(problem_->roots, prime);
    return multiply_mod(power_mod(root, static_cast<std::uint64_t>(part_.target), prime),
                        static_cast<std::uint32_t>(part_.multiplicity), prime);
}

}  // namespace tnm
