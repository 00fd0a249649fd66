// participant_agent/dialect/mysql_packets.h
//
// How many answers to a text of several statements lie in octets that nobody has read yet: so that the driver, which
// would wait for the rest of one, is asked only when all have come whole.
//
// Source: MySQL's client/server protocol, "Packets" and "Text protocol": each packet is three octets of length, lowest
// first, one of its number, and its body. An answer is one packet (OK), or the number of columns, so many packets, an EOF,
// rows, an EOF. (CLIENT_DEPRECATE_EOF, which libmariadb does not ask for, would leave out the EOFs.)
#pragma once

#include <cstddef>
#include <string_view>

namespace troth::agent {

struct ArrivedAnswers {
  std::size_t whole = 0;
  // An error, behind which nothing comes, or what is no answer to such a text.
  bool ill = false;
};

// Of the first `most`. `octets` begin where an answer begins.
[[nodiscard]] ArrivedAnswers arrived_answers(std::string_view octets, std::size_t most);

}  // namespace troth::agent
