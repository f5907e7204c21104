// Prints one line for each of many problems: a digest of its masks, prices and sums. Run once for
// each instruction set by compare_instruction_sets.cmake; the lines must be the same.
//
// Returns 77 if TNM_FORCE_ISA names an instruction set that this machine does not have.
#include <bit>
#include <cstdio>
#include <cstdlib>

#include "support/check.hpp"
#include "support/values.hpp"
#include "support/verify.hpp"
#include "tnm/build_info.hpp"
#include "tnm/retained.hpp"
#include "tnm/rowwise.hpp"

namespace tnm::test {
namespace {

// FNV-1a.
class Digest {
  public:
    void add(std::uint64_t value) {
        for (int k = 0; k < 8; ++k, value >>= 8) state_ = (state_ ^ (value & 255)) * 1099511628211U;
    }
    void add(const std::vector<double>& values) {
        // Both zeros are the same price.
        for (const double value : values) add(std::bit_cast<std::uint64_t>(value + 0.0));
    }
    std::uint64_t value() const { return state_; }

  private:
    std::uint64_t state_ = 14695981039346656037U;
};

std::uint64_t digest_of(const Array& array, const Pattern& pattern, Score score) {
    Certificate certificate(tiles_of(array, pattern, score).size(), pattern.m);
    CertificateView view = certificate.view();
    Digest digest;
    for (const std::uint8_t flag :
         solve(array.view(), {pattern, Method::optimal, score}, 1, &view).flags())
        digest.add(flag);
    MaskArray rows(array.shape());
    TNM_CHECK(nm_mask(array.view(), rows.view(), pattern, score, Execution{}) == Status::ok);
    for (const std::uint8_t flag : rows.flags()) digest.add(flag);
    RetainedScore retained;
    TNM_CHECK(retained_score(array.view(), rows.const_view(), score, retained, Execution{}) ==
              Status::ok);
    digest.add({retained.kept, retained.total, retained.largest});
    digest.add(certificate.row_prices);
    digest.add(certificate.column_prices);
    return digest.value();
}

void test_digests() {
    std::uint64_t seed = 1;
    for (const auto& [n, m] :
         {std::pair{1, 4}, std::pair{2, 4}, std::pair{3, 4}, std::pair{2, 7}, std::pair{2, 8},
          std::pair{4, 8}, std::pair{5, 8}, std::pair{6, 12}, std::pair{4, 16}, std::pair{8, 16},
          std::pair{1, 32}, std::pair{16, 32}, std::pair{30, 50}, std::pair{32, 64}})
        for (const Dtype dtype :
             {Dtype::int8, Dtype::float16, Dtype::bfloat16, Dtype::float32, Dtype::float64}) {
            Random random(seed++);
            Array array(dtype, {m, 192});
            if (dtype == Dtype::float64)
                fill(array, Distribution::twelve_decades, random);
            else
                fill_tile_by_tile(array, m, random);
            std::printf("%d:%d %s %016llx\n", n, m, name_of(dtype),
                        static_cast<unsigned long long>(digest_of(array, {n, m}, Score::abs)));
        }
}

}  // namespace
}  // namespace tnm::test

int main() {
    if (!tnm::instruction_set_error().empty()) return 77;
    const char* forced = std::getenv("TNM_FORCE_ISA");
    if (forced != nullptr && *forced != '\0' && tnm::instruction_set() != forced) {
        std::printf("%s was asked for, %s is in use\n", forced, tnm::instruction_set().c_str());
        return 1;
    }
    try {
        tnm::test::test_digests();
    } catch (const std::exception&) {
        return 1;
    }
    return 0;
}
