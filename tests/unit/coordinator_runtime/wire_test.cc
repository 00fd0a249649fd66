// Between the contract's types and the coordinator's own: what is refused, and what a request weighs.
#include "coordinator/runtime/wire.h"

#include <gtest/gtest.h>

namespace troth::coordinator {
namespace {

wire::ExecuteRequest request_with(const wire::Value& value) {
  wire::Statement statement;
  statement.sql = "UPDATE account SET cents = ?";
  statement.parameters.push_back(value);
  wire::BranchWork work;
  work.resource = "till";
  work.statements.push_back(statement);
  wire::ExecuteRequest request;
  request.branches.push_back(work);
  return request;
}

// Or the limit on the bytes of undecided requests would not see them.
TEST(Wire, ARequestWeighsAllThatItCarries) {
  const std::string large(100'000, '7');
  std::vector<wire::Value> values(10);
  values[0].__set_decimal(large);
  values[1].__set_text(large);
  values[2].__set_bytes(large);
  values[3].__set_date(large);
  values[4].__set_time(large);
  values[5].__set_timestamp(large);
  values[6].__set_timestamp_tz(large);
  values[7].__set_json(large);
  values[8].__set_uuid(large);
  wire::Value inner;
  inner.__set_elements({values[0]});
  values[9].__set_elements({inner});
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto work = work_of(request_with(values[i]));
    ASSERT_TRUE(work) << work.error().message;
    EXPECT_GT(work->bytes, large.size()) << "value " << i;
  }
}

// Attack 40: the same work may have committed in an earlier call, which had no mistake beside it.
TEST(Wire, AMistakeBesideTheWorkSaysNothingOfItsRequest) {
  wire::Value value;
  value.__set_int64(1);
  const auto effect_of = [](const wire::ExecuteRequest& request) {
    const auto work = work_of(request);
    EXPECT_FALSE(work);
    return work ? Effect::kApplied : work.error().effect;
  };
  for (const bool retry : {false, true}) {
    auto sound = request_with(value);
    if (retry) {
      sound.client_name = "teller";
      sound.__set_request_id("01a20783-d4c3-7980-b781-b38cf8598130");
    }
    ASSERT_TRUE(work_of(sound));
    auto timeout = sound;
    wire::ExecuteOptions options;
    options.__set_timeout_ms(-1);
    timeout.__set_options(options);
    EXPECT_EQ(effect_of(timeout), retry ? Effect::kUnknown : Effect::kNone);
    auto label = sound;
    label.__set_label(std::string(1000, 'x'));
    EXPECT_EQ(effect_of(label), retry ? Effect::kUnknown : Effect::kNone);
    auto nothing = sound;
    nothing.branches.clear();
    EXPECT_EQ(effect_of(nothing), Effect::kNone);
  }
}

TEST(Wire, ABarNamesEachResourceOnceAndNotMoreThanATransactionMayHave) {
  wire::StatusRequest request;
  request.client_name = "teller";
  request.__set_request_id("01a20783-d4c3-7980-b781-b38cf8598130");
  request.bar = true;
  request.bar_resources = {"till", "vault", "till", "till"};
  const auto status = status_of(request);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->resources, (std::vector<ResourceName>{{"till"}, {"vault"}}));
  request.bar_resources.clear();
  for (int i = 0; i < 2000; ++i)
    request.bar_resources.push_back("r" + std::to_string(i));
  const auto refused = status_of(request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("bar_resources"), std::string::npos) << refused.error().message;
}

TEST(Wire, AnAgentWhoseAddressCannotBeCalledIsNotRegistered) {
  wire::RegisterRequest request;
  request.agent_id = "a";
  request.incarnation = 1;
  for (const auto* address : {"nonsense", "127.0.0.1:0", "127.0.0.1:99999", ":7710"}) {
    request.address = address;
    const auto refused = registration_of(request);
    ASSERT_FALSE(refused) << address;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find("address"), std::string::npos) << refused.error().message;
  }
  request.address = "127.0.0.1:7720";
  EXPECT_TRUE(registration_of(request));
}

// Both go into a record of the decision log, whose size is limited.
TEST(Wire, AResolutionsWordsAreBounded) {
  wire::ResolveRequest request;
  request.transaction_id = "test-abc123.1.1";
  request.resource = "till";
  request.branch = 1;
  request.reason = "the till burnt down";
  request.operator_name = "ann";
  EXPECT_TRUE(check_resolution(request));
  for (const auto& [reason, name] : {std::pair<std::string, std::string>{"", "ann"},
                                     {"why", ""},
                                     {std::string(5000, 'x'), "ann"},
                                     {"why", std::string(500, 'x')},
                                     {"\xff\xfe", "ann"}}) {
    request.reason = reason;
    request.operator_name = name;
    const auto refused = check_resolution(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(refused.error().effect, Effect::kNone);
  }
}

}  // namespace
}  // namespace troth::coordinator
