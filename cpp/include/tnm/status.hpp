// The outcome of every public call of the core. No exception crosses this boundary.
#pragma once

namespace tnm {

enum class Status {
    ok,
    non_finite_score,  // a score is NaN or infinite; find_non_finite() says where
    interrupted,       // Execution::interrupted asked to stop; outputs are incomplete
    out_of_memory,
    invalid_argument,  // shapes, n, m or dtypes do not fit together
    table_too_large,   // TableMemory says what would be needed
};

}  // namespace tnm
