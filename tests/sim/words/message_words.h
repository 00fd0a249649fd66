// tests/sim/words/message_words.h
//
// A message as a trace's reader wants it: the method, and what is asked of which transaction, or what is answered.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/network/network.h"

namespace troth::sim {

struct MessageWords {
  bool is_call = false;
  std::int32_t seqid = 0;  // an answer has its call's, and says nothing of what was asked
  std::string text;
};
[[nodiscard]] MessageWords words_of(const Frame& frame);

}  // namespace troth::sim
