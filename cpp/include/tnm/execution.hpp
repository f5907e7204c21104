// How a call runs: on how many threads, and who may stop it.
#pragma once

namespace tnm {

struct Execution {
    int threads = 1;
    // Asked now and then, on the calling thread only; returns true to stop the call. May be null.
    bool (*interrupted)(void* context) = nullptr;
    void* context = nullptr;
};

}  // namespace tnm
