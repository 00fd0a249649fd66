// How many answers have come, told from octets that nobody has read: at every place where they may be cut.
#include "participant_agent/dialect/mysql_packets.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace troth::agent {
namespace {

using namespace std::string_view_literals;

std::string packet(std::string_view body, char number = 1) {
  std::string octets;
  octets += static_cast<char>(body.size() & 0xFFU);
  octets += static_cast<char>(body.size() >> 8U & 0xFFU);
  octets += static_cast<char>(body.size() >> 16U & 0xFFU);
  octets += number;
  return octets.append(body);
}

const std::string kOk = packet("\0\x01\0\x0a\0\0\0"sv);
const std::string kEof = packet("\xfe\0\0\x0a\0"sv);
const std::string kError = packet("\xff\x26\x04#23000Duplicate entry"sv);
std::string column(std::string_view name) {
  return packet(std::string("\x03"
                            "def") +
                std::string(name));
}
// As MySQL 9.7 answers `SELECT 'a', NULL`, in two rows.
std::string rows_of_two() {
  return packet("\x02"sv) + column("a") + column("b") + kEof +
         packet(
             "\x01"
             "a\xfb"sv) +
         packet("\xfb\xfb"sv) + kEof;
}

TEST(MysqlPackets, AnswerCountsOnceItsLastOctetHasCome) {
  const std::vector<std::string> answers{kOk, rows_of_two(), kOk, kOk};
  std::string all;
  std::vector<std::size_t> ends;
  for (const std::string& answer : answers) {
    all += answer;
    ends.push_back(all.size());
  }
  for (std::size_t came = 0; came <= all.size(); ++came) {
    std::size_t whole = 0;
    while (whole < ends.size() && ends[whole] <= came)
      ++whole;
    const ArrivedAnswers arrived = arrived_answers(std::string_view(all).substr(0, came), answers.size());
    EXPECT_EQ(arrived.whole, whole) << came;
    EXPECT_FALSE(arrived.ill) << came;
  }
  EXPECT_EQ(arrived_answers(all, 2).whole, 2U) << "what comes behind is not asked for";
}

TEST(MysqlPackets, ErrorEndsThem) {
  for (const std::string& before : {std::string(), kOk, kOk + rows_of_two()}) {
    const std::string octets = before + kError;
    EXPECT_TRUE(arrived_answers(octets, 5).ill);
    EXPECT_FALSE(arrived_answers(octets.substr(0, octets.size() - 1), 5).ill) << "it has not come whole";
  }
  const std::string in_rows = packet("\x01"sv) + column("a") + kEof + packet("\x01x"sv) + kError;
  EXPECT_TRUE(arrived_answers(in_rows, 1).ill);
}

TEST(MysqlPackets, RowMayBeginLikeAnEndOrBeLong) {
  // Of 0xfe and eight octets of length, as of a value of 16 MiB and more; cut short here.
  const std::string like_an_end = packet(std::string("\xfe\0\0\0\x01\0\0\0\0xyz"sv));
  const std::string octets =
      packet("\x01"sv) + column("a") + kEof + like_an_end + packet(std::string(70'000, 'x')) + kEof;
  EXPECT_EQ(arrived_answers(octets, 1).whole, 1U);
}

TEST(MysqlPackets, ManyColumnsAreCounted) {
  std::string octets = packet("\xfc\x2c\x01"sv);  // 300
  for (int i = 0; i < 300; ++i)
    octets += column("c");
  octets += kEof;
  EXPECT_EQ(arrived_answers(octets + kEof, 1).whole, 1U);
  EXPECT_EQ(arrived_answers(octets, 1).whole, 0U);
}

TEST(MysqlPackets, WhatIsNoAnswerIsIll) {
  EXPECT_TRUE(arrived_answers(packet(""), 1).ill);
  EXPECT_TRUE(arrived_answers(packet("\xfb/etc/passwd"sv), 1).ill) << "a file is asked for";
  EXPECT_TRUE(arrived_answers(kEof, 1).ill);
  EXPECT_TRUE(arrived_answers(packet("\xfd\0\0\x01"sv), 1).ill);
  EXPECT_TRUE(arrived_answers(packet("\xfc\x01"sv), 1).ill);
  EXPECT_TRUE(arrived_answers(packet("\x01"sv) + column("a") + kOk, 1).ill) << "no end of the columns";
}

}  // namespace
}  // namespace troth::agent
