// Every record of the journal reads as it was written; what does not read is refused, never guessed.
#include "participant_agent/runtime/journal_codec.h"

#include <span>

#include <gtest/gtest.h>

#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

std::vector<JournalRecord> one_of_each() {
  const ResourceName pg{"pg"};
  const BranchId id{transaction(5, 7), {1}};
  const OwnerRow row{{"agent-a"}, {3}, {0xfedcba9876543210}, 7};
  Work work = work_for(id);
  work.isolation = Isolation::kSerializable;
  return {
      EpochSeen{{{5}, {0xfedcba9876543210}}},
      WatermarkRaised{{{5}, {3}}},
      Claiming{pg, row},
      Owns{pg, row},
      CounterRaised{pg, 9, std::nullopt},
      CounterRaised{pg, 9, "u1:1-90"},
      ResourceIdentity{pg, "s1", 2, "i1"},
      BranchBegun{work, {{71}, {1000}}, false},
      BranchBegun{work, {{71}, {1000}}, true},
      DecisionLearned{id, pg},
      Finished{id, pg, BranchEnd::kLost},
      Resolved{id, pg, true, "ticket 12", "ann"},
      EndedByLeader{{transaction(5, 4), transaction(5, 6)}},
      FloorRaised{pg, {{{5}, {2}}, 1000}},
      AgentStarted{{3}},
      SetBackAccepted{pg},
      TakeOverUsed{pg},
      TakeOverTold{pg},
      ReignDoubted{{{5}, {0xfedcba9876543210}}},
  };
}

txlog::RecordView view_of(const EncodedRecord& encoded) {
  txlog::RecordView view;
  view.type = encoded.type;
  view.payload = std::as_bytes(std::span(encoded.payload));
  return view;
}

TEST(JournalCodec, EveryRecordReadsAsItWasWritten) {
  std::set<std::size_t> kinds;
  for (const auto& record : one_of_each()) {
    const auto encoded = encode(record);
    const auto read = decode(view_of(encoded));
    ASSERT_TRUE(read.has_value()) << name_of(record) << ": " << read.error().message;
    ASSERT_TRUE(read->has_value()) << name_of(record);
    EXPECT_TRUE(**read == record) << name_of(record);
    kinds.insert(record.index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<JournalRecord>) << "one of each kind";
}

TEST(JournalCodec, ADamagedOrUnknownRecordIsRefused) {
  auto encoded = encode(SetBackAccepted{{"pg"}});
  encoded.payload.resize(encoded.payload.size() / 2);
  EXPECT_EQ(decode(view_of(encoded)).error().code, ErrorCode::kCorrupt);
  encoded = encode(SetBackAccepted{{"pg"}});
  encoded.type.number = 4000;
  EXPECT_EQ(decode(view_of(encoded)).error().code, ErrorCode::kCorrupt) << "mandatory";
  encoded.type.optional = true;
  const auto skipped = decode(view_of(encoded));
  ASSERT_TRUE(skipped.has_value());
  EXPECT_FALSE(skipped->has_value());
}

}  // namespace
}  // namespace troth::agent
