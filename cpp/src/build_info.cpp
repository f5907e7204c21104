#include "tnm/build_info.hpp"

namespace tnm {

const char* version() {
    return TNM_VERSION;
}

const char* compiler() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#elif defined(__GNUC__)
    return "GCC " __VERSION__;
#else
    return "unknown";
#endif
}

}  // namespace tnm
