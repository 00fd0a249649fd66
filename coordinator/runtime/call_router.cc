#include "coordinator/runtime/call_router.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <asio/io_context.hpp>
#include <fmt/format.h>

#include "base/runtime/clock.h"
#include "coordinator/runtime/unread_calls.h"
#include "thrift/access.h"

namespace troth::coordinator {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(25);
// How long a leader that no longer leads may take to say what became of a call: it may have stopped, and its connection
// not be broken yet.
constexpr Duration kLastWord = std::chrono::milliseconds(250);
constexpr std::chrono::milliseconds kRetryAfter{200};
constexpr std::uint32_t kMostLeadersLost = 8;

// Each coordinator answers these for itself.
constexpr std::array<std::string_view, 3> kOwn = {"hello", "current_epoch", "group_status"};
// Asked twice they change nothing, or what they change is the same.
constexpr std::array<std::string_view, 5> kRepeatable = {"status", "cluster_status", "in_doubt",
                                                         "register_agent", "inquire"};

// Whatever a reign that finishes what runs takes no more.
constexpr std::array<std::string_view, 2> kNew = {"execute", "begin_transaction"};

constexpr std::string_view kNobody =
    "the group has no leader that can be reached from here; `troth cluster status` shows its coordinators";

template <std::size_t Count>
bool is_one_of(const std::array<std::string_view, Count>& methods, std::string_view method) {
  return std::ranges::find(methods, method) != methods.end();
}

bool may_be_repeated(const rpc::DivertedCall& call) {
  if (is_one_of(kRepeatable, call.method())) return true;
  return is_one_of(kNew, call.method()) &&
         call.effect_of_refusal() == Effect::kUnknown;  // it has a request_id
}

// Of a call whose fate is unknown: the leader may not have been lost, and have said so in vain.
bool is_lost(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kTimeout;
}

// Who may not make it at all does not wait for the leader to hear so.
bool may_call(const rpc::CallContext& call) {
  return call.caller == nullptr || rpc::check_access(*call.caller, call.method).has_value();
}

}  // namespace

CallRouter::CallRouter(asio::io_context& loop, Replica& replica, std::function<Here()> serves_here,
                       Duration patience, Duration longest_call)
    : replica_(replica),
      serves_here_(std::move(serves_here)),
      patience_(patience),
      longest_call_(longest_call),
      timer_(loop) {}

CallRouter::~CallRouter() = default;

bool CallRouter::serves_here(std::string_view method) const {
  const auto here = serves_here_();
  return here == Here::kEverything || (here == Here::kRunning && !is_one_of(kNew, method));
}

bool CallRouter::wants(const rpc::CallContext& call, rpc::Bytes content) const {
  return !serves_here(call.method) && !is_one_of(kOwn, call.method) && may_call(call) &&
         !is_for_any_coordinator(call.method, content);
}

void CallRouter::take(std::unique_ptr<rpc::DivertedCall> call) {
  route({.call = std::move(call), .until = boot_now() + patience_, .why = std::string(kNobody)});
}

void CallRouter::route(Waiting waiting) {
  if (serves_here(waiting.call->method())) return waiting.call->serve_here();
  if (auto* link = replica_.link_to_leader()) return pass_on(std::move(waiting), *link);
  wait(std::move(waiting));
}

void CallRouter::wait(Waiting waiting) {
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
  passed_.emplace(number, Passed{std::move(waiting), link.peer(), std::nullopt});
  link.pass_on(std::move(passed), longest_call_,
               lifetime_.guard([this, number](Result<wire::PassedAnswer> answer) {
                 answered(number, std::move(answer));
               }));
}

void CallRouter::answered(std::uint64_t number, Result<wire::PassedAnswer> answer) {
  auto found = passed_.extract(number);
  if (found.empty()) return;  // given up
  auto& passed = found.mapped();
  if (answer) {
    const auto& frame = answer->frame;
    return passed.waiting.call->answer({reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()});
  }
  if (answer.error().effect != Effect::kNone) return fate_unknown(std::move(passed), answer.error());
  // No service saw it. Not again at once: whoever refused it may still be taken for the leader here.
  passed.waiting.why = answer.error().message;
  wait(std::move(passed.waiting));
}

void CallRouter::fate_unknown(Passed passed, const Error& why) {
  auto& waiting = passed.waiting;
  if (is_lost(why) && may_be_repeated(*waiting.call) && ++waiting.lost <= kMostLeadersLost) {
    waiting.until = boot_now() + patience_;  // from here on it waits for the next one
    waiting.why = why.message;
    return wait(std::move(waiting));
  }
  auto error = why;
  error.effect = Effect::kUnknown;
  if (is_lost(why)) {
    error.message = fmt::format(
        "'{}' was passed on to the leader, replica {}, which was lost before it answered ({}): ask `status` "
        "how it "
        "ended",
        waiting.call->method(), passed.to.value, why.message);
  }
  waiting.call->refuse(error);
}

void CallRouter::look_again() {
  note_lost_leader();
  route_waiting(true);
}

// Whoever has waited for too long, because this process stood still, say, is not served any more.
void CallRouter::route_waiting(bool somebody) {
  const auto now = boot_now();
  for (auto& [number, waiting] : std::exchange(waiting_, {})) {
    if (waiting.until <= now)
      refuse(waiting, waiting.why);
    else if (somebody)
      route(std::move(waiting));
    else
      waiting_.emplace(number, std::move(waiting));
  }
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

void CallRouter::refuse(const Waiting& waiting, std::string_view why) {
  Error error;
  error.code = ErrorCode::kUnavailable;
  error.effect = waiting.lost > 0 ? Effect::kUnknown : waiting.call->effect_of_refusal();
  error.retryable = true;
  error.retry_after = kRetryAfter;
  error.message = fmt::format("'{}' was not taken: {}", waiting.call->method(), why);
  waiting.call->refuse(error);
}

void CallRouter::refuse_waiting(std::string_view why) {
  for (const auto& [number, waiting] : std::exchange(waiting_, {}))
    refuse(waiting, why);
}

void CallRouter::watch() {
  if (std::exchange(watching_, true)) return;
  timer_.expires_after(kLook);
  timer_.async_wait(lifetime_.guard([this](const asio::error_code& stopped) {
    if (stopped) return;
    watching_ = false;
    time_passed();
  }));
}

void CallRouter::time_passed() {
  const auto now = boot_now();
  route_waiting(serves_here_() != Here::kNothing || replica_.link_to_leader() != nullptr);
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
