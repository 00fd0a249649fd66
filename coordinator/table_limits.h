// coordinator/table_limits.h
//
// What one coordinator takes on, and how long it waits and remembers. Each limit has its named refusal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "coordinator/backoff.h"

namespace troth::coordinator {

struct TableLimits {
  std::size_t undecided = 10'000;            // transactions; more: overloaded
  std::size_t undecided_per_client = 5'000;  // more: overloaded
  // Of those: each may hold a session in every resource. More: overloaded.
  std::size_t interactive_per_client = 32;
  std::size_t bytes = 256UL << 20;  // of all undecided requests together; more: overloaded
  std::size_t open = 200'000;       // decided and not yet ended, too; more: overloaded
  std::size_t branches = 32;        // of one transaction; more: invalid argument
  std::size_t joined_calls = 16;    // that wait for one running request; more: overloaded
  std::size_t questions = 10'000;   // status, inquiry and resolve calls that wait; more: overloaded
  Duration retry_after = std::chrono::milliseconds{100};

  Duration default_timeout = std::chrono::seconds{30};
  Duration longest_timeout = std::chrono::minutes{60};  // bounds the watermark [T7]
  Duration longest_idle =
      std::chrono::minutes{5};  // of an interactive transaction: it may hold locks meanwhile
  Duration interactive_timeout =
      std::chrono::seconds{60};                      // of an interactive transaction, from begin to commit
  Duration idle_timeout = std::chrono::seconds{10};  // of one, between two calls

  Backoff redrive{std::chrono::seconds{1}, std::chrono::seconds{60}};
  Backoff ask_again{std::chrono::milliseconds{200}, std::chrono::seconds{10}};
  std::size_t redrives_at_once = 400;  // commits sent again to a returned agent, every `redrive_interval`
  Duration redrive_interval = std::chrono::milliseconds{10};

  std::size_t ends_at_once = 256;                               // one store request carries so many, or
  Duration longest_end_delay = std::chrono::milliseconds{100};  // what has gathered after this

  Duration retention = std::chrono::hours{7 * 24};
  Duration least_age = std::chrono::minutes{10};  // below it nothing is forgotten, whatever the count
  std::uint64_t kept_records = 1'000'000;         // ended and barred; more: the floor rises, else overloaded
  std::size_t remembered_outcomes = 4'096;        // of aborts and one-phase ends, for `status` in this reign
};

}  // namespace troth::coordinator
