// tests/sim/words/database_words.h
//
// What a database is asked and answers, as a trace's reader wants it.
#pragma once

#include <string>

#include "tests/sim/model/requests.h"

namespace troth::sim {

[[nodiscard]] std::string words_of(const Request& request);
[[nodiscard]] std::string words_of(const Reply& reply);

}  // namespace troth::sim
