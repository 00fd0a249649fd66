// txlog/crc32c.h
//
// CRC32C (Castagnoli), the checksum under everything the log writes. ISA-L's crc32_iscsi leaves the inversion
// of the first and the last value to its caller; this is the only place that calls it.
// Source: RFC 3720, appendix B.4, whose vectors the test repeats.
#pragma once

#include <cstdint>

#include "txlog/bytes.h"

namespace troth::txlog {

// `crc32c(b, crc32c(a))` is the checksum of a followed by b.
[[nodiscard]] std::uint32_t crc32c(Bytes bytes, std::uint32_t before = 0);

}  // namespace troth::txlog
