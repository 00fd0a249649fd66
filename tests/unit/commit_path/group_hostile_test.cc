// What may come in at a coordinator's port for the others of its group: bytes of any kind, processes of another group, and
// a second process of one replica's number. Nothing of it ends a process or disturbs the work.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TProtocol.h>

#include "base/version.h"
#include "tests/support/holds_within.h"
#include "tests/unit/commit_path/group_of_coordinators.h"
#include "tests/unit/commit_path/world.h"
#include "tests/unit/thrift/raw_client.h"
#include "thrift/gen/administration_methods.h"
#include "thrift/gen/group_methods.h"
#include "thrift/runtime/blocking_channel.h"
#include "thrift/runtime/contract.h"
#include "thrift/runtime/wire_error.h"

namespace troth {
namespace {

using namespace std::chrono_literals;
using rpc::test::ByteVector;
using rpc::test::framed;
using rpc::test::RawClient;

ByteVector bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

// A whole call of the replicas' service, in a frame.
template <typename Arguments, typename Request>
ByteVector call_of(std::string_view method, const Request& request,
                   rpc::Encoding encoding = rpc::Encoding::kCompact) {
  return rpc::test::call_frame(encoding, method, 7, [&](auto& out) {
    Arguments arguments;
    auto& [pointer] = arguments;
    pointer = &request;
    arguments.write(&out);
  });
}

wire::ReplicaHello hello_of(std::int32_t from, std::int32_t to) {
  wire::ReplicaHello hello;
  hello.hello = rpc::hello_of("troth-coordinator", {"test-abc123"});
  hello.replica = from;
  hello.to = to;
  hello.start = 4711;
  hello.group = "replicas 1, 2, 3: write 2, elect 2, read 2, lease 300 ms";
  return hello;
}

class HostileGroup : public testing::Test {
 protected:
  void SetUp() override {
    group_.start();
    ASSERT_TRUE(serves());
  }
  [[nodiscard]] bool serves() {
    return holds_within(30s, [this] { return group_.serves(); });
  }
  void expect_work() {
    for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
      const auto executed =
          Teller(group_.address(number))
              .execute(request_of({{"till", kWork}, {"ledger", kWork}}, fresh_request_id()));
      EXPECT_TRUE(executed) << "through replica " << number << ": " << executed.error().message;
    }
  }
  // What replica `number` says is the matter with `other`.
  [[nodiscard]] std::string trouble(std::uint32_t number, std::uint32_t other) {
    const auto status = group_.status(number);
    if (!status) return status.error().message;
    for (const auto& each : status->others)
      if (each.replica == static_cast<std::int32_t>(other)) return each.trouble;
    return "it is not listed";
  }

  GroupOfCoordinators group_;
};

TEST_F(HostileGroup, BytesOfAnyKindEndTheirOwnConnectionAtMost) {
  wire::ReplicaMessage message;
  message.replica = 2;
  message.start = 4711;
  message.message = "what is no message";
  wire::PassedCall passed;
  passed.replica = 2;
  passed.message = "what is no call";
  const auto greeting = call_of<wire::Replicas_greet_pargs>("greet", hello_of(2, 1));
  const auto delivery = call_of<wire::Replicas_deliver_pargs>("deliver", message);
  const auto passing = call_of<wire::Replicas_pass_on_pargs>("pass_on", passed);
  std::vector<ByteVector> streams = {
      bytes_of("GET / HTTP/1.1\r\nHost: there\r\n\r\n"),
      bytes_of(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)),
      ByteVector(4096, 0xff),
      ByteVector(4096, 0),
      framed({}),
      framed(bytes_of("garbage")),
      framed(ByteVector(100'000, 0x82)),
      delivery,  // as a call, whose answer nobody expects
      call_of<wire::Replicas_greet_pargs>("no_such_method", hello_of(2, 1)),
      call_of<wire::Replicas_greet_pargs>("execute", hello_of(2, 1)),
      passing,
  };
  for (const auto& whole : {greeting, delivery, passing}) {
    // Cut anywhere: the stream ends inside of the frame, or the frame holds less than its call.
    for (std::size_t length = 1; length < whole.size(); length += 3) {
      const ByteVector cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      streams.push_back(cut);
      if (length > rpc::kFrameLengthBytes)
        streams.push_back(framed({cut.begin() + rpc::kFrameLengthBytes, cut.end()}));
    }
    for (std::size_t at = rpc::kFrameLengthBytes; at < whole.size(); ++at) {
      auto damaged = whole;
      damaged[at] ^= 0x55;
      streams.push_back(damaged);
    }
  }
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number) {
    for (const auto& stream : streams) {
      const RawClient client(group_.peer_address(number));
      client.send(stream);
      client.end_sending();
      while (client.receive()) {
      }
    }
  }
  expect_work();
  for (std::uint32_t number = 1; number <= GroupOfCoordinators::kReplicas; ++number)
    EXPECT_FALSE(group_.coordinator(number).life().outcome()) << "replica " << number << " has ended";
}

TEST_F(HostileGroup, ClientsCallsAreNotServedAtThePortOfTheReplicas) {
  const RawClient client(group_.peer_address(1));
  client.send(call_of<wire::Replicas_greet_pargs>("execute", hello_of(2, 1)));
  const auto content = client.receive();
  ASSERT_TRUE(content);
  const auto answer = rpc::test::read_answer(*content);
  EXPECT_EQ(answer.exception_type, apache::thrift::TApplicationException::UNKNOWN_METHOD);
}

TEST_F(HostileGroup, AStrangersGreetingIsRefusedWithWhatIsTheMatter) {
  struct Stranger {
    std::function<void(wire::ReplicaHello&)> change;
    const char* said;
  };
  const std::vector<Stranger> strangers = {
      {[](auto& hello) { hello.hello.cluster = "shop-000000"; }, "belongs to cluster shop-000000"},
      {[](auto& hello) { hello.hello.version = 99; }, "upgrade one step at a time"},
      {[](auto& hello) { hello.to = 2; }, "is [[replicas]] the same list at both?"},
      {[](auto& hello) { hello.replica = 9; }, "does not name replica 9"},
      {[](auto& hello) { hello.group = "replicas 1, 2: write 2, elect 2, read 2, lease 300 ms"; },
       "group.founders and its quorums must be the same at both"},
      {[](auto&) {}, "another process answers as replica 2"},
  };
  rpc::BlockingChannel channel(group_.peer_address(1));
  for (const auto& stranger : strangers) {
    auto hello = hello_of(2, 1);
    stranger.change(hello);
    const auto greeted = channel.call<wire::Replicas_greet>(hello, 10s);
    ASSERT_FALSE(greeted) << stranger.said;
    EXPECT_EQ(greeted.error().effect, Effect::kNone);
    EXPECT_NE(greeted.error().message.find(stranger.said), std::string::npos) << greeted.error().message;
  }
  expect_work();
}

// It was copied together with its configuration, say, and calls the others from another machine.
TEST_F(HostileGroup, ASecondProcessOfOneNumberIsBelievedByNobody) {
  const auto number = group_.follower();
  TemporaryDirectory directory;
  auto options = group_.coordinator(number).options();
  options.log_directory = directory.file("decisions");
  options.audit_path = directory.file("audit.log");
  options.settings.listen = free_loopback_address();
  options.settings.group.listen = free_loopback_address();
  options.settings.group.patience = 500ms;
  const auto address = rpc::Address::parse(options.settings.listen);
  ASSERT_TRUE(address);
  InProcessCoordinator second(std::move(options));
  second.start();
  const auto other = number % 3 + 1;
  rpc::BlockingChannel channel(*address);
  EXPECT_TRUE(holds_within(20s, [&] {
    const auto status = channel.call<wire::Administration_group_status>(5s);
    if (!status || status->state != "looks for a leader") return false;
    return std::ranges::any_of(status->others, [&](const auto& each) {
      return each.replica == static_cast<std::int32_t>(other) && !each.reached &&
             each.trouble.find("another process answers as replica " + std::to_string(number) + " at " +
                               group_.peer_address(number).text()) != std::string::npos;
    });
  })) << "it does not say what is the matter";
  const auto refused = Teller(*address).execute(request_of({{"till", kWork}}, fresh_request_id()), 20s);
  ASSERT_FALSE(refused) << "it serves nobody";
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  expect_work();
  const auto stopped = second.stop();
  EXPECT_TRUE(stopped) << stopped.error().message;
  EXPECT_TRUE(serves());
}

TEST_F(HostileGroup, AProcessOfAnotherClusterAtAReplicasAddressIsNamedAndNotCalled) {
  const auto number = group_.follower();
  ASSERT_TRUE(group_.coordinator(number).stop());
  TemporaryDirectory directory;
  auto options = group_.coordinator(number).options();
  options.cluster = {"shop-000000"};
  options.log_directory = directory.file("decisions");
  options.audit_path = directory.file("audit.log");
  InProcessCoordinator stranger(std::move(options));
  stranger.start();
  const auto other = number % 3 + 1;
  EXPECT_TRUE(holds_within(20s, [&] {
    return trouble(other, number)
               .find("the process at " + group_.peer_address(number).text() +
                     " refuses this one: troth-coordinator " + std::string(troth_version()) +
                     " belongs to cluster test-abc123, this process "
                     "to shop-000000: check the configured addresses") != std::string::npos;
  })) << trouble(other, number);
  const auto executed = Teller(group_.address(other))
                            .execute(request_of({{"till", kWork}, {"ledger", kWork}}, fresh_request_id()));
  EXPECT_TRUE(executed) << executed.error().message;
  const auto stopped = stranger.stop();
  EXPECT_TRUE(stopped) << stopped.error().message;
  group_.coordinator(number).start();
  EXPECT_TRUE(serves());
  expect_work();
}

}  // namespace
}  // namespace troth
