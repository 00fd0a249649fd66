// What a coordinator's file may not say of its group, each with the line that its operator reads.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/runtime/settings_file.h"
#include "coordinator/runtime/settings.h"
#include "thrift/runtime/tls.h"

namespace troth::coordinator {
namespace {

using testing::HasSubstr;

// Three replicas on loopback, and this one is the second.
constexpr const char* kReplicas =
    "[[replicas]]\nnumber = 1\naddress = '127.0.0.1:7710'\npeer_address = '127.0.0.1:7720'\n"
    "[[replicas]]\nnumber = 2\naddress = '127.0.0.1:7711'\npeer_address = '127.0.0.1:7721'\n"
    "[[replicas]]\nnumber = 3\naddress = '127.0.0.1:7712'\npeer_address = '127.0.0.1:7722'\n";

std::string group(const std::string& lines) {
  return "[group]\nreplica = 2\n" + lines + kReplicas;
}

Status load(const std::string& text, CoordinatorSettings& settings) {
  const auto document = parse_settings(text, "c.toml");
  if (!document) return std::unexpected(document.error());
  return load_settings(*document, settings, describe);
}

std::string problem(const std::string& text) {
  CoordinatorSettings settings;
  const auto loaded = load(text, settings);
  return loaded ? "" : loaded.error().message;
}

CoordinatorSettings loaded(const std::string& text) {
  CoordinatorSettings settings;
  const auto loaded = load(text, settings);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return settings;
}

TEST(GroupSettings, AGroupOfThree) {
  const auto settings = loaded(group(""));
  EXPECT_TRUE(settings.group.is_set());
  EXPECT_EQ(text_of(settings.group.beginning()), "replicas 1, 2, 3: write 2, elect 2, read 2, lease 150 ms");
  ASSERT_NE(settings.group.find(3), nullptr);
  EXPECT_EQ(settings.group.find(3)->peer_address, "127.0.0.1:7722");
  EXPECT_EQ(settings.group.find(4), nullptr);
  EXPECT_FALSE(loaded("").group.is_set());
}

TEST(GroupSettings, ItsBeginningIsWhatIsWritten) {
  EXPECT_EQ(text_of(loaded(group("write_quorum = 3\nelect_quorum = 1\nread_quorum = 1\nlease_ms = 200\n"))
                        .group.beginning()),
            "replicas 1, 2, 3: write 3, elect 1, read 1, lease 200 ms");
  // Replica 3 came later.
  EXPECT_EQ(text_of(loaded(group("founders = '2,1'\n")).group.beginning()),
            "replicas 1, 2: write 2, elect 2, read 2, lease 150 ms");
  // Replica 7 is gone for ever, and began the group.
  EXPECT_EQ(text_of(loaded(group("founders = ' 1 , 2, 7 '\n")).group.beginning()),
            "replicas 1, 2, 7: write 2, elect 2, read 2, lease 150 ms");
}

struct Refused {
  const char* what;
  std::string text;
  std::string said;
};

TEST(GroupSettings, WhatCannotBeIsRefusedByName) {
  const std::string one =
      "[[replicas]]\nnumber = 1\naddress = '127.0.0.1:7710'\npeer_address = '127.0.0.1:7720'\n";
  const std::vector<Refused> refused = {
      // ---- who is in it
      {"no own number", one,
       "'replicas': are listed, and group.replica does not say which of them this process is"},
      {"an unknown own number", "[group]\nreplica = 4\n" + std::string(kReplicas),
       "'replicas': none has the number 4, which group.replica says this process is"},
      {"nobody", "[group]\nreplica = 1\n", "'replicas': none has the number 1"},
      {"nobody, by its quorums", "[group]\nreplica = 1\n", "a group has 1 to 7 replicas that vote, not 0"},
      {"one number twice", group("") + one, "'replicas': there are two replicas with the number 1"},
      {"a number left out",
       group("") + "[[replicas]]\naddress = '127.0.0.1:7713'\npeer_address = '127.0.0.1:7723'\n",
       "'replicas': a replica has no number: give each its own, 1 or more"},
      {"number 0",
       group("") + "[[replicas]]\nnumber = 0\naddress = '127.0.0.1:7713'\npeer_address = '127.0.0.1:7723'\n",
       "'replicas.number': 0 is out of range"},
      {"an address left out", group("") + "[[replicas]]\nnumber = 4\naddress = '127.0.0.1:7713'\n",
       "'replicas.peer_address' is missing"},
      // ---- where they are
      {"an address of two",
       group("") + "[[replicas]]\nnumber = 4\naddress = '127.0.0.1:7713'\npeer_address = '127.0.0.1:7720'\n",
       "'replicas': 127.0.0.1:7720 is an address of replica 1 and of replica 4"},
      {"one for both",
       group("") + "[[replicas]]\nnumber = 4\naddress = '127.0.0.1:7713'\npeer_address = '127.0.0.1:7713'\n",
       "'replicas': 127.0.0.1:7713 is an address of replica 4 and of replica 4"},
      {"no port",
       group("") + "[[replicas]]\nnumber = 4\naddress = '127.0.0.1:0'\npeer_address = '127.0.0.1:7723'\n",
       "'replicas': replica 4: 127.0.0.1:0 names no port: others have to know it"},
      {"no address",
       group("") + "[[replicas]]\nnumber = 4\naddress = 'somewhere'\npeer_address = '127.0.0.1:7723'\n",
       "'replicas': replica 4: "},
      {"elsewhere without TLS",
       group("") + "[[replicas]]\nnumber = 4\naddress = '127.0.0.1:7713'\npeer_address = '10.0.0.4:7720'\n",
       std::string("'replicas': ") + std::string(rpc::kNeedsTls)},
      {"listening elsewhere without TLS", group("listen = '0.0.0.0:7720'\n"),
       std::string("'group.listen': ") + std::string(rpc::kNeedsTls)},
      {"listening nowhere", group("listen = 'somewhere'\n"), "'group.listen': "},
      // ---- what it began with
      {"quorums that do not meet", group("write_quorum = 1\n"),
       "'group': elect + write: 2 + 1 = 3, which must be above the 3 replicas that they are taken from"},
      {"readers that miss a decision", group("read_quorum = 1\n"),
       "'group': read + write: 1 + 2 = 3, which must be above the 3 replicas"},
      {"a quorum above all", group("write_quorum = 4\n"),
       "'group': the write quorum is 4, and must be 1 to 3: there are 3 replicas that vote"},
      {"a quorum above any", group("elect_quorum = 8\n"), "'group.elect_quorum': 8 is out of range"},
      {"a quorum below any", group("write_quorum = -1\n"), "'group.write_quorum': -1 is out of range"},
      {"founders that are none", group("founders = '1, two'\n"),
       "'group.founders': expected numbers of replicas: \"1, 2, 3\""},
      {"a founder 0", group("founders = '0, 1, 2'\n"), "'group.founders': expected numbers of replicas"},
      {"a founder of nothing", group("founders = '1,,2'\n"),
       "'group.founders': expected numbers of replicas"},
      {"founders below zero", group("founders = '-1'\n"), "'group.founders': expected numbers of replicas"},
      {"too many founders", group("founders = '1,2,3,4,5,6,7,8'\n"),
       "'group': a group has 1 to 7 replicas that vote, not 8"},
      {"a lease too short", group("lease_ms = 19\n"), "'group.lease_ms': 19 is out of range"},
      {"a lease too long", group("lease_ms = 10001\n"), "'group.lease_ms': 10001 is out of range"},
      {"patience without end", group("patience_ms = 60001\n"), "'group.patience_ms': 60001 is out of range"},
      // ---- what its log needs
      {"segments too small", group("") + "[decision_log]\nsegment_bytes = '1MiB'\n",
       "a group's largest entry needs segments of"},
  };
  for (const auto& each : refused)
    EXPECT_THAT(problem(each.text), HasSubstr(each.said)) << each.what;
}

TEST(GroupSettings, AllThatIsWrongIsSaidAtOnce) {
  const auto said =
      problem("[group]\nreplica = 9\nwrite_quorum = 1\nfounders = '1, 2, 3'\n" + std::string(kReplicas));
  EXPECT_THAT(said, HasSubstr("none has the number 9"));
  EXPECT_THAT(said, HasSubstr("elect + write: 2 + 1 = 3"));
}

}  // namespace
}  // namespace troth::coordinator
