// What this build of the library is.
#pragma once

namespace tnm {

const char* version();
const char* compiler();

}  // namespace tnm
