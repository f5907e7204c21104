// Arguments that do not fit together are refused, and the outputs stay as they were.
#include "support/check.hpp"
#include "support/verify.hpp"
#include "tnm/rowwise.hpp"

namespace tnm::test {
namespace {

void check_refused(const ArrayView& array, MaskArray& mask, const Pattern& pattern) {
    const Given given([&] { return join("pattern ", pattern.n, ":", pattern.m); });
    const std::vector<std::uint8_t> before = mask.flags();
    for (const Method method : {Method::optimal, Method::two_approximation, Method::greedy})
        TNM_CHECK(transposable_mask(array, mask.view(), {pattern, method}, nullptr, Execution{}) ==
                  Status::invalid_argument);
    TNM_CHECK(nm_mask(array, mask.view(), pattern, Score::abs, Execution{}) ==
              Status::invalid_argument);
    TNM_CHECK(mask.flags() == before);
}

void test_patterns() {
    const Array array(Dtype::uint8, {8, 8});
    MaskArray mask(array.shape());
    for (const Pattern& pattern : {Pattern{0, 4}, Pattern{-1, 4}, Pattern{5, 4}, Pattern{0, 0},
                                   Pattern{1, 0}, Pattern{-4, -2}, Pattern{1, kMaxM + 1}})
        check_refused(array.view(), mask, pattern);
}

void test_shapes() {
    const Array array(Dtype::uint8, {2, 8, 8});
    for (const Shape& shape :
         {Shape{2, 8, 9}, Shape{2, 7, 8}, Shape{1, 8, 8}, Shape{16, 8}, Shape{1, 2, 8, 8}}) {
        const Given given([&] { return join("mask of shape ", name_of(shape)); });
        MaskArray mask(shape);
        check_refused(array.view(), mask, {2, 4});
    }
    for (const int rank : {0, 1}) {
        ArrayView view = array.view();
        view.strides.rank = rank;
        MaskArray mask(array.shape());
        MaskView target = mask.view();
        target.strides.rank = rank;
        TNM_CHECK(transposable_mask(view, target, {{2, 4}}, nullptr, Execution{}) ==
                  Status::invalid_argument);
    }
}

void test_certificate_of_an_approximation() {
    const Array array(Dtype::uint8, {8, 8});
    MaskArray mask(array.shape());
    Certificate certificate(4, 4);
    CertificateView view = certificate.view();
    for (const Method method : {Method::two_approximation, Method::greedy})
        TNM_CHECK(transposable_mask(array.view(), mask.view(), {{2, 4}, method}, &view,
                                    Execution{}) == Status::invalid_argument);
}

}  // namespace
}  // namespace tnm::test

int main(int argc, char** argv) {
    using namespace tnm::test;
    return run_tests(argc, argv,
                     {
                         {"patterns", test_patterns},
                         {"shapes", test_shapes},
                         {"certificate_of_an_approximation", test_certificate_of_an_approximation},
                     });
}
