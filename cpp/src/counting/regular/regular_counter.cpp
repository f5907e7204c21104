#include <algorithm>
#include <mutex>
#include <optional>

#include "counting/regular/count_pass.hpp"
#include "counting/regular/count_plan.hpp"
#include "counting/regular/count_slices.hpp"
#include "counting/regular/modular.hpp"
#include "parallel/guarded.hpp"
#include "parallel/parallel_for.hpp"
#include "tnm/regular_count.hpp"

namespace tnm {
namespace {

constexpr double kEvaluationsOfSlice = 2e6;
constexpr double kMostSlices = 1e6;

std::size_t index(std::int64_t value) {
    return static_cast<std::size_t>(value);
}

double centered(std::uint32_t residue, std::uint32_t prime) {
    return residue > prime / 2 ? static_cast<double>(residue) - prime
                               : static_cast<double>(residue);
}

// Right multisets by size and exponents.
std::vector<std::int64_t> count_rights(const ResidueClass& part, int roots, int columns) {
    std::vector<std::int64_t> counts(index((columns + 1) * roots));
    counts[0] = 1;
    for (int bin = part.left_bins; bin < roots; ++bin)
        for (int size = 1; size <= columns; ++size)
            for (int e = 0; e < roots; ++e) {
                const int to = (e + part.exponent_of_bin[index(bin)]) % roots;
                counts[index(size * roots + to)] += counts[index((size - 1) * roots + e)];
            }
    return counts;
}

}  // namespace

// Everything that a CountPass points to.
struct PassTables {
    std::vector<int> window_begin, window_length;
    std::vector<std::int64_t> table_begin, bucket_begin, first_right;
    std::int64_t table_vectors = 0, bucket_vectors = 0;
    std::vector<double> prime, inverse_prime, root_powers, inverses;
    CountPass pass;

    PassTables(const CountLayout& layout, const ResidueClass& part, const std::uint32_t* primes);

  private:
    void lay_out_sizes(const CountLayout& layout, const ResidueClass& part);
    void fill_constants(const CountLayout& layout, const std::uint32_t* primes);
};

PassTables::PassTables(const CountLayout& layout, const ResidueClass& part,
                       const std::uint32_t* primes) {
    lay_out_sizes(layout, part);
    fill_constants(layout, primes);
    pass.columns = layout.margins.columns;
    pass.row_sum = layout.margins.row_sum;
    pass.rows = layout.margins.rows;
    pass.roots = layout.roots;
    pass.left_bins = part.left_bins;
    pass.target = part.target;
    pass.halved = part.halved;
    pass.exponent_of_bin = part.exponent_of_bin.data();
    pass.mirrors_previous = part.mirrors_previous.data();
    pass.window_begin = window_begin.data();
    pass.window_length = window_length.data();
    pass.table_begin = table_begin.data();
    pass.bucket_begin = bucket_begin.data();
    pass.first_right = first_right.data();
    pass.prime = prime.data();
    pass.inverse_prime = inverse_prime.data();
    pass.root_powers = root_powers.data();
    pass.inverses = inverses.data();
}

void PassTables::lay_out_sizes(const CountLayout& layout, const ResidueClass& part) {
    const int columns = layout.margins.columns, roots = layout.roots;
    const std::vector<std::int64_t> counts = count_rights(part, roots, columns);
    first_right.push_back(0);
    for (const std::int64_t count : counts) first_right.push_back(first_right.back() + count);
    for (int size = 0; size <= columns; ++size) {
        const Window window = window_of(layout.margins, size);
        window_begin.push_back(window.begin);
        window_length.push_back(window.length);
        table_begin.push_back(table_vectors);
        bucket_begin.push_back(bucket_vectors);
        const std::int64_t rights =
            first_right[index((size + 1) * roots)] - first_right[index(size * roots)];
        table_vectors += rights * window.length;
        bucket_vectors += std::int64_t{roots} * kBucketVectors * window.length;
    }
}

void PassTables::fill_constants(const CountLayout& layout, const std::uint32_t* primes) {
    const int columns = layout.margins.columns, roots = layout.roots;
    root_powers.resize(index(roots * kGroupPrimes));
    inverses.resize(index((columns + 1) * kGroupPrimes));
    for (int lane = 0; lane < kGroupPrimes; ++lane) {
        const std::uint32_t p = primes[lane];
        prime.push_back(p);
        inverse_prime.push_back(1.0 / p);
        const std::uint32_t root = root_of_unity(roots, p);
        std::uint32_t power = 1;
        for (int k = 0; k < roots; ++k) {
            root_powers[index(k * kGroupPrimes + lane)] = centered(power, p);
            power = multiply_mod(power, root, p);
        }
        for (int k = 1; k <= columns; ++k)
            inverses[index(k * kGroupPrimes + lane)] =
                centered(inverse_mod(static_cast<std::uint32_t>(k), p), p);
    }
}

namespace {

// The memory of one thread, for all vectors of a group.
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
        bucket_polynomials_.resize(index(bucket_stride_ * vectors_));
        bucket_weights_.resize(index(weight_stride_ * vectors_));
        bucket_sizes_.resize(index(groups * vectors_));
        polynomials_.resize(index(states * (pass.row_sum + 1) * lanes));
        weights_.resize(index(states * lanes));
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
    double sum(int lane) const { return sums_[index(lane)]; }

  private:
    int vectors_;
    int lanes_ = 0;
    std::int64_t bucket_stride_ = 0, weight_stride_ = 0, group_stride_ = 0;
    std::vector<double> bucket_polynomials_, bucket_weights_, polynomials_, weights_, sums_;
    std::vector<int> bucket_sizes_;
};

}  // namespace

struct RegularCounter::State {
    CountLayout layout;
    RegularCountPlan plan;
    int group = 0;
    int class_index = 0;
    std::optional<CountSlices> slices;
    std::unique_ptr<PassTables> tables;
    // Kept from pass to pass, because fresh memory costs more than filling it.
    std::vector<double> polynomials, weights;

    RightTable table_of(int vector, int lanes) {
        return {polynomials.data() + vector * tables->table_vectors * lanes,
                weights.data() + vector * tables->first_right.back() * lanes};
    }
    const std::uint32_t* primes_of_group() const {
        return plan.primes.data() + group * kGroupPrimes;
    }
    void fill_table();
    Status add(std::int64_t begin, std::int64_t end, GroupSums& sums, const Execution& execution);
    std::uint32_t factor_of_class(std::uint32_t prime) const;
    std::uint32_t scale(std::uint32_t prime) const;
};

RegularCounter::RegularCounter() = default;
RegularCounter::~RegularCounter() = default;

Status RegularCounter::prepare(const RegularMargins& margins) {
    if (!are_regular(margins)) return Status::invalid_argument;
    return guarded([&] {
        auto state = std::make_unique<State>();
        state->layout = lay_out(margins);
        const CountLayout& layout = state->layout;
        RegularCountPlan& plan = state->plan;
        plan.primes = primes_with_roots(layout.roots, layout.prime_limit, layout.used_primes);
        plan.needed_primes = layout.needed_primes;
        plan.classes = static_cast<int>(layout.classes.size());
        plan.bound_bits = layout.bound_bits;
        for (const ResidueClass& part : layout.classes) {
            plan.evaluations += part.evaluations;
            plan.operations += part.operations;
            plan.table_bytes = std::max(plan.table_bytes, 64.0 * part.table_vectors);
        }
        state_ = std::move(state);
        return Status::ok;
    });
}

const RegularCountPlan& RegularCounter::plan() const {
    return state_->plan;
}

Status RegularCounter::start_pass(int pass) {
    if (state_ == nullptr) return Status::invalid_argument;
    const int classes = state_->plan.classes;
    const int groups = static_cast<int>(state_->plan.primes.size()) / kGroupPrimes;
    if (pass < 0 || pass >= classes * groups) return Status::invalid_argument;
    return guarded([&] {
        State& state = *state_;
        state.tables.reset();
        state.group = pass / classes;
        const CountLayout& layout = state.layout;
        state.class_index = pass % classes;
        const ResidueClass& part = layout.classes[index(state.class_index)];
        state.slices.emplace(part, layout.roots, layout.margins.columns,
                             std::max(kEvaluationsOfSlice, part.evaluations / kMostSlices));
        state.tables = std::make_unique<PassTables>(layout, part, state.primes_of_group());
        state.fill_table();
        return Status::ok;
    });
}

std::int64_t RegularCounter::slices() const {
    return state_ != nullptr && state_->slices ? state_->slices->size() : 0;
}

double RegularCounter::share_before(std::int64_t slice) const {
    return state_->slices->share_before(slice);
}

Status RegularCounter::add_slices(std::int64_t begin, std::int64_t end, GroupSums& sums,
                                  const Execution& execution) const {
    if (state_ == nullptr || state_->tables == nullptr || begin < 0 || end > slices() ||
        begin > end)
        return Status::invalid_argument;
    return guarded([&] { return state_->add(begin, end, sums, execution); });
}

void RegularCounter::State::fill_table() {
    const auto fit = [](std::vector<double>& memory, std::int64_t vectors) {
        if (memory.size() < index(vectors * kGroupPrimes)) {
            memory.clear();
            memory.resize(index(vectors * kGroupPrimes));
        }
    };
    fit(polynomials, tables->table_vectors);
    fit(weights, tables->first_right.back());
    const CountKernels& kernels = count_kernels();
    WorkerScratch scratch(*tables, kernels.lanes);
    for (int v = 0; v < scratch.vectors(); ++v) {
        std::vector<std::int64_t> cursors = tables->first_right;
        kernels.fill_table(tables->pass, v * kernels.lanes, table_of(v, kernels.lanes),
                           cursors.data(), scratch.of(v));
    }
}

Status RegularCounter::State::add(std::int64_t begin, std::int64_t end, GroupSums& sums,
                                  const Execution& execution) {
    const CountKernels& kernels = count_kernels();
    const CountPass& pass = tables->pass;
    std::mutex mutex;
    std::vector<std::unique_ptr<WorkerScratch>> workers;
    const Status added = parallel_for(end - begin, execution, [&]() -> Worker {
        auto own = std::make_unique<WorkerScratch>(*tables, kernels.lanes);
        WorkerScratch* scratch = own.get();
        {
            const std::lock_guard lock(mutex);
            workers.push_back(std::move(own));
        }
        return [&, scratch](std::int64_t piece) {
            for (int v = 0; v < scratch->vectors(); ++v)
                kernels.add_slice(pass, v * kernels.lanes, table_of(v, kernels.lanes),
                                  (*slices)[begin + piece], scratch->of(v));
            return Status::ok;
        };
    });
    if (added != Status::ok) return added;
    const auto waiting = static_cast<std::int64_t>(workers.size());
    const Status finished = parallel_for(waiting, execution, [&]() -> Worker {
        return [&](std::int64_t worker) {
            WorkerScratch& scratch = *workers[index(worker)];
            for (int v = 0; v < scratch.vectors(); ++v)
                kernels.finish(pass, v * kernels.lanes, table_of(v, kernels.lanes), scratch.of(v));
            return Status::ok;
        };
    });
    if (finished != Status::ok) return finished;

    for (int lane = 0; lane < kGroupPrimes; ++lane) {
        const std::uint32_t prime = primes_of_group()[lane];
        const std::int64_t modulus = prime;
        std::int64_t sum = 0;
        for (const auto& worker : workers) sum += static_cast<std::int64_t>(worker->sum(lane));
        const auto residue = static_cast<std::uint32_t>((sum % modulus + modulus) % modulus);
        const std::uint32_t more = multiply_mod(residue, factor_of_class(prime), prime);
        sums[index(lane)] = (sums[index(lane)] + more) % prime;
    }
    return Status::ok;
}

// What a sum over the multisets of the class is to be multiplied with: the product of the roots,
// and how many classes contribute the same.
std::uint32_t RegularCounter::State::factor_of_class(std::uint32_t prime) const {
    const ResidueClass& part = layout.classes[index(class_index)];
    const std::uint32_t root = root_of_unity(layout.roots, prime);
    return multiply_mod(power_mod(root, static_cast<std::uint64_t>(part.target), prime),
                        static_cast<std::uint32_t>(part.multiplicity), prime);
}

// From the sum over multisets, each with one over its factorials, to the mean over all points,
// and on to the quotient.
std::uint32_t RegularCounter::State::scale(std::uint32_t prime) const {
    const RegularMargins& asked = layout.asked;
    const int columns = layout.margins.columns;
    const auto roots = static_cast<std::uint32_t>(layout.roots);
    const auto rotation = static_cast<std::uint32_t>(layout.rotation);
    const std::uint32_t points =
        multiply_mod(factorial_mod(columns, prime), roots / rotation, prime);
    std::uint32_t divisor = power_mod(roots, static_cast<std::uint64_t>(columns), prime);
    divisor = multiply_mod(divisor, binomial_mod(asked.columns, asked.row_sum, prime), prime);
    divisor =
        multiply_mod(divisor, binomial_mod(asked.rows - 1, asked.column_sum - 1, prime), prime);
    return multiply_mod(points, inverse_mod(divisor, prime), prime);
}

Status RegularCounter::digits(const std::vector<GroupSums>& sums,
                              std::vector<std::uint32_t>& digits) const {
    if (state_ == nullptr || sums.size() * kGroupPrimes != plan().primes.size())
        return Status::invalid_argument;
    return guarded([&] {
        const std::vector<std::uint32_t>& primes = plan().primes;
        std::vector<std::uint32_t> residues;
        for (std::size_t k = 0; k < primes.size(); ++k)
            residues.push_back(multiply_mod(sums[k / kGroupPrimes][k % kGroupPrimes],
                                            state_->scale(primes[k]), primes[k]));
        digits = mixed_radix(residues, primes);
        return Status::ok;
    });
}

}  // namespace tnm
