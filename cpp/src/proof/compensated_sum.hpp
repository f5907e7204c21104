// Sums in twice the precision of double.
#pragma once

#include <cmath>

namespace tnm {

// Neumaier's variant of Kahan summation.
class CompensatedSum {
  public:
    void add(double term) {
        const double next = sum_ + term;
        if (std::fabs(sum_) >= std::fabs(term))
            lost_ += (sum_ - next) + term;
        else
            lost_ += (term - next) + sum_;
        sum_ = next;
    }
    double value() const { return sum_ + lost_; }

  private:
    double sum_ = 0.0, lost_ = 0.0;
};

}  // namespace tnm
