// base/version.h
//
// The version that `hello` names and `--version` prints; set once, in the top CMakeLists.txt.
#pragma once

#include <string_view>

namespace troth {

[[nodiscard]] std::string_view troth_version();

}  // namespace troth
