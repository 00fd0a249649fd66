#include "coordinator/remembered_outcomes.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace troth::coordinator {
namespace {

TransactionId id(std::uint64_t sequence) {
  return {{"bank-x7k2p9"}, {1}, {sequence}, std::nullopt};
}

StatusReport report(const TransactionId& transaction, std::string detail) {
  StatusReport report;
  report.state = TransactionState::kNotCommitted;
  report.transaction = transaction;
  report.detail = std::move(detail);
  return report;
}

TEST(RememberedOutcomes, TheOldestLeavesForTheNewest) {
  RememberedOutcomes remembered(3);
  for (std::uint64_t i = 1; i <= 5; ++i)
    remembered.remember(id(i), report(id(i), "refused"));
  for (std::uint64_t i = 1; i <= 5; ++i)
    EXPECT_EQ(remembered.find(id(i)).has_value(), i > 2) << i;
}

TEST(RememberedOutcomes, ALongReasonIsCutBetweenTwoCharacters) {
  RememberedOutcomes remembered(3);
  std::string words = "x";
  while (words.size() < 1U << 20)
    words += "\u00e4\u20ac";
  remembered.remember(id(1), report(id(1), words));
  const auto detail = remembered.find(id(1))->detail;
  EXPECT_LE(detail.size(), RememberedOutcomes::kMostDetail);
  EXPECT_GT(detail.size(), RememberedOutcomes::kMostDetail - 4);
  EXPECT_TRUE(is_utf8(detail));
  EXPECT_TRUE(words.starts_with(detail));
}

}  // namespace
}  // namespace troth::coordinator
