// participant_agent/dialect/literals.h
//
// Writes values into the agent's own texts. Whatever came from outside goes in as hexadecimal, so that no SQL
// mode, escape setting or encoding of a session can make it anything but a value.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"

namespace troth::agent {

[[nodiscard]] std::string hexadecimal(std::string_view octets);

// '...' for text of Troth's own making: letters, digits and `.-_:/ ` only (checked).
[[nodiscard]] std::string plain_literal(std::string_view text);
// '...' for a statement of Troth's own that the server is to prepare: any text without a backslash (checked).
[[nodiscard]] std::string quoted_literal(std::string_view text);

// A transaction's row is found by its numbers; its text tells the cluster and the one-phase tag.
[[nodiscard]] std::string nonce_literal(Nonce nonce);  // '16 hexadecimal digits'

// The primary key of a request's barrier, in place of a transaction id: `r`, the UUID's 32 digits, `.` and 14
// digits of a hash of the client's name; never a transaction id.
[[nodiscard]] std::string request_barrier_name(const RequestKey& request);

// The smallest UUIDv7 of a millisecond: ids below it are older.
[[nodiscard]] RequestId first_request_id_of(std::uint64_t unix_ms);

[[nodiscard]] std::string_view octets_of(const RequestId& id);
[[nodiscard]] std::string_view octets_of(const Digest& digest);

}  // namespace troth::agent
