#include "participant_agent/dialect/xid.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "participant_agent/dialect/dialect.h"
#include "participant_agent/dialect/literals.h"
#include "tests/unit/participant_agent/branch_words.h"

namespace troth::agent {
namespace {

// Any branch that the group can hand out.
BranchId any_branch() {
  const auto letters = *rc::gen::nonEmpty(rc::gen::container<std::string>(
      rc::gen::oneOf(rc::gen::inRange('a', '{'), rc::gen::inRange('0', ':'))));
  BranchId id;
  id.transaction.cluster = {letters.substr(0, kMaxClusterLength)};
  id.transaction.epoch = {*rc::gen::inRange<std::uint32_t>(1, UINT32_MAX)};
  id.transaction.sequence = {*rc::gen::inRange<std::uint64_t>(1, kMaxSequence + 1)};
  if (*rc::gen::arbitrary<bool>())
    id.transaction.one_phase = ResourceNumber{*rc::gen::inRange<std::uint32_t>(1, kMaxResourceNumber + 1)};
  id.branch = {*rc::gen::inRange<std::uint32_t>(1, UINT32_MAX)};
  return id;
}

RC_GTEST_PROP(Xid, EveryBranchIsReadBackFromItsXid, ()) {
  const BranchId id = any_branch();
  RC_ASSERT(branch_of(xa_xid_of(id)) == id);
  RC_ASSERT(xa_xid_of(id).gtrid.size() <= 64U);
  RC_ASSERT(xa_xid_of(id).bqual.size() <= 64U);
}

RC_GTEST_PROP(Xid, EveryBranchIsReadBackFromItsGid, ()) {
  const BranchId id = any_branch();
  RC_ASSERT(branch_of_postgres_gid(postgres_gid_of(id)) == id);
  RC_ASSERT(postgres_gid_of(id).size() < 200U);
}

RC_GTEST_PROP(Xid, EveryBranchIsReadBackFromTheServersLists, ()) {
  const BranchId id = any_branch();
  const XaXid xid = xa_xid_of(id);
  const TextRow mysql{"1414680404", std::to_string(xid.gtrid.size()), std::to_string(xid.bqual.size()),
                      "0x" + hexadecimal(xid.gtrid + xid.bqual)};
  RC_ASSERT(dialect_of(DatabaseKind::kMysql).parse_prepared(mysql)->branch == id);
  const TextRow mariadb{"1414680404", "1", "1", xa_literal(xid)};
  RC_ASSERT(dialect_of(DatabaseKind::kMariadb).parse_prepared(mariadb)->branch == id);
  const TextRow postgres{postgres_gid_of(id), "12"};
  RC_ASSERT(dialect_of(DatabaseKind::kPostgres).parse_prepared(postgres)->branch == id);
}

RC_GTEST_PROP(Xid, WhateverAStrangerNamesItsOwnIsNotOurs,
              (const std::string& gtrid, const std::string& bqual)) {
  const bool other_format = branch_of(XaXid{1, gtrid, bqual}).has_value();
  RC_ASSERT(!other_format);
  const auto read = branch_of(XaXid{kXaFormatId, gtrid, bqual});
  const bool reads_back = !read || xa_xid_of(*read) == XaXid{kXaFormatId, gtrid, bqual};
  RC_ASSERT(reads_back);
  const auto from_gid = branch_of_postgres_gid(gtrid);
  const bool gid_reads_back = !from_gid || postgres_gid_of(*from_gid) == gtrid;
  RC_ASSERT(gid_reads_back);
}

TEST(Xid, LooksLikeThis) {
  const BranchId id{transaction(3, 42), {2}};
  EXPECT_EQ(postgres_gid_of(id), "troth1.bank-x7k2p9.3.42.2");
  EXPECT_EQ(xa_xid_of(id).gtrid, "1bank-x7k2p9.3.42");
  EXPECT_EQ(xa_xid_of(id).bqual, "2");
  EXPECT_EQ(xa_literal(xa_xid_of(id)), "X'3162616e6b2d78376b3270392e332e3432',X'32',1414680404");
}

TEST(Xid, ForeignNamesAreIgnored) {
  for (const char* gid : {"troth2.bank-x7k2p9.3.42.2", "troth1.bank-x7k2p9.3.42", "troth1.bank-x7k2p9.3.42.0",
                          "troth1.", "troth1.bank-x7k2p9.3.42.02", "bitronix-1", "troth1.Bank.3.42.1", ""}) {
    EXPECT_FALSE(branch_of_postgres_gid(gid)) << gid;
  }
  EXPECT_FALSE(branch_of({kXaFormatId, "2bank-x7k2p9.3.42", "1"})) << "another format version";
  EXPECT_FALSE(branch_of({kXaFormatId, "1bank-x7k2p9.3.42", "x"}));
  EXPECT_FALSE(parse_mysql_recover("1414680404", "99", "1", "0x3131"));
  EXPECT_FALSE(parse_mysql_recover("1414680404", "1", "1", "0x31zz"));
  EXPECT_FALSE(parse_mysql_recover("-1", "1", "1", "0x3131"));
  EXPECT_FALSE(parse_mariadb_recover("'a','b'"));
  EXPECT_FALSE(parse_mariadb_recover("'a,'b',1"));
  EXPECT_EQ(parse_mariadb_recover("'1a','1',7"), (XaXid{7, "1a", "1"}));
}

TEST(Xid, AnotherClustersBranchIsRecognisedAsSuch) {
  const auto id = branch_of_postgres_gid("troth1.clone-a1b2c3.3.42.1");
  ASSERT_TRUE(id);
  EXPECT_FALSE(of_cluster(*id, {"bank-x7k2p9"}));
}

// Attack 65: a one-phase id carries its resource's number, so that the id itself tells that only that
// resource knows.
TEST(Xid, TheOnePhaseTagIsPartOfTheName) {
  const BranchId id{transaction(3, 42, ResourceNumber{7}), {1}};
  EXPECT_EQ(postgres_gid_of(id), "troth1.bank-x7k2p9.3.42.s7.1");
  EXPECT_EQ(branch_of_postgres_gid("troth1.bank-x7k2p9.3.42.s7.1"), id);
}

}  // namespace
}  // namespace troth::agent
