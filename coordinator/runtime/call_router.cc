#include "coordinator/runtime/call_router.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "coordinator/runtime/unread_calls.h"

namespace troth::coordinator {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(25);
// How long a leader that no longer leads may take to say what became of a call: it may have stopped, and its connection
// not be broken yet.
constexpr Duration kLastWord = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kRetryAfter{200};

// Each coordinator answers these for itself.
constexpr std::array<std::string_view, 2> kOwn = {"hello", "current_epoch"};
// Asked twice they change nothing, or what they change is the same.
constexpr std::array<std::string_view, 5> kRepeatable = {"status", "cluster_status", "in_doubt",
                                                         "register_agent", "inquire"};

bool may_be_repeated(const rpc::DivertedCall& call) {
  if (std::ranges::find(kRepeatable, call.method()) != kRepeatable.end()) return true;
  const bool begins = call.method() == "execute" || call.method() == "begin_transaction";
  return begins && call.effect_of_refusal() == Effect::kUnknown;  // it has a request_id
}

}  // namespace

CallRouter::CallRouter(asio::io_context& loop, Replica& replica, std::function<bool()> serves_here,
                       Duration patience, Duration longest_call)
    : loop_(loop),
      replica_(replica),
      serves_here_(std::move(serves_here)),
      patience_(patience),
      longest_call_(longest_call),
      timer_(loop) {}

CallRouter::~CallRouter() = default;

bool CallRouter::wants(const rpc::CallContext& call, rpc::Bytes content) const {
  return !serves_here_() && std::ranges::find(kOwn, call.method) == kOwn.end() &&
         !is_for_any_coordinator(call.method, content);
}

void CallRouter::take(std::unique_ptr<rpc::DivertedCall> call) {
  route({std::move(call), boot_now() + patience_});
}

void CallRouter::route(Waiting waiting) {
  if (serves_here_()) return waiting.call->serve_here();
  if (auto* link = replica_.link_to_leader()) return pass_on(std::move(waiting), *link);
  waiting_.emplace(++last_number_, std::move(waiting));
  watch();
}

void CallRouter::pass_on(Waiting waiting, PeerLink& link) {
  const auto number = ++last_number_;
  wire::PassedCall passed;
  if (const auto& caller = waiting.call->caller()) {
    passed.__set_role(std::string(rpc::name_of(caller->role)));
    passed.__set_name(caller->name);
  }
  passed.peer = waiting.call->peer();
  const auto content = waiting.call->content();
  passed.message.assign(reinterpret_cast<const char*>(content.data()), content.size());
  passed_.emplace(number, Passed{std::move(waiting.call), link.peer(), waiting.until, std::nullopt});
  link.pass_on(std::move(passed), longest_call_,
               [this, number](Result<wire::PassedAnswer> answer) { answered(number, std::move(answer)); });
}

void CallRouter::answered(std::uint64_t number, Result<wire::PassedAnswer> answer) {
  auto found = passed_.extract(number);
  if (found.empty()) return;  // given up
  auto& passed = found.mapped();
  if (answer) {
    const auto& frame = answer->frame;
    return passed.call->answer({reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()});
  }
  if (answer.error().effect != Effect::kNone) return fate_unknown(std::move(passed), answer.error());
  // No service saw it. Not again at once: whoever refused it may still be taken for the leader here.
  waiting_.emplace(number, Waiting{std::move(passed.call), passed.until});
  watch();
}

void CallRouter::fate_unknown(Passed passed, const Error& why) {
  if (may_be_repeated(*passed.call)) {
    waiting_.emplace(++last_number_, Waiting{std::move(passed.call), boot_now() + patience_});
    return watch();
  }
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = Effect::kUnknown;
  error.message = fmt::format(
      "'{}' was passed on to the leader, replica {}, which was lost before it answered ({}): ask `status` "
      "how it ended",
      passed.call->method(), passed.to.value, why.message);
  passed.call->refuse(error);
}

void CallRouter::look_again() {
  note_lost_leader();
  for (auto& [number, waiting] : std::exchange(waiting_, {}))
    route(std::move(waiting));
}

void CallRouter::note_lost_leader() {
  const auto leader = replica_.leader();
  for (auto& [number, passed] : passed_) {
    if (leader == passed.to)
      passed.lost.reset();
    else if (!passed.lost)
      passed.lost = boot_now();
  }
  if (!passed_.empty()) watch();
}

void CallRouter::refuse(Waiting waiting, const char* why) {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = waiting.call->effect_of_refusal();
  error.retryable = true;
  error.retry_after = kRetryAfter;
  error.message = fmt::format("'{}' was not begun: {}", waiting.call->method(), why);
  waiting.call->refuse(error);
}

void CallRouter::refuse_waiting(const char* why) {
  for (auto& [number, waiting] : std::exchange(waiting_, {}))
    refuse(std::move(waiting), why);
}

void CallRouter::watch() {
  if (std::exchange(watching_, true)) return;
  timer_.expires_after(kLook);
  timer_.async_wait([this](const asio::error_code& stopped) {
    if (stopped) return;
    watching_ = false;
    time_passed();
  });
}

void CallRouter::time_passed() {
  const auto now = boot_now();
  const bool somebody = serves_here_() || replica_.link_to_leader() != nullptr;
  for (auto& [number, waiting] : std::exchange(waiting_, {})) {
    if (waiting.until <= now)
      refuse(std::move(waiting),
             "the group has no leader that can be reached from here; `troth cluster status` shows "
             "which of its coordinators are");
    else if (somebody)
      route(std::move(waiting));
    else
      waiting_.emplace(number, std::move(waiting));
  }
  std::vector<std::uint64_t> given_up;
  bool lost = false;
  for (const auto& [number, passed] : passed_) {
    lost = lost || passed.lost.has_value();
    if (passed.lost && *passed.lost + kLastWord <= now) given_up.push_back(number);
  }
  const auto why = fail(ErrorCode::kUnavailable, Effect::kUnknown, "it leads no longer").error();
  for (const auto number : given_up)
    if (auto passed = passed_.extract(number)) fate_unknown(std::move(passed.mapped()), why);
  if (!waiting_.empty() || lost) watch();
}

}  // namespace troth::coordinator
