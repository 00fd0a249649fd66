// base/runtime/digest.h
//
// SHA-256 over what a request asks for: tells a retry from another request under the same request_id.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "base/ids.h"

namespace troth {

[[nodiscard]] Digest sha256(std::span<const std::byte> bytes);
[[nodiscard]] Digest sha256(std::string_view bytes);

}  // namespace troth
