#include "participant_agent/ownership.h"

#include <algorithm>

#include <fmt/format.h>

#include "participant_agent/dialect/schema.h"
#include "participant_agent/refusal.h"

namespace troth::agent {
namespace {

Error error_of(ErrorCode code, const ResourceName& resource, std::string message, bool retryable = false) {
  Error error = refusal(code, Effect::kNone, std::move(message), retryable);
  error.resource = resource.value;
  return error;
}

std::string of_another_version(const ResourceName& resource, std::uint32_t version) {
  const auto remedy = version < kSchemaVersion
                          ? fmt::format("run `troth install {}` of this agent's release", resource.value)
                          : "start an agent of the release that made them";
  return fmt::format("Troth's tables there are of version {}, this agent needs {}; {}", version,
                     kSchemaVersion, remedy);
}

bool is_nobodys(const OwnerRow& row) {
  return row.agent.value.empty() && row.incarnation.value == 0;
}

}  // namespace

Ownership::Ownership(OwnershipOptions options, OwnershipMemory memory)
    : options_(std::move(options)), memory_(std::move(memory)), state_(Connecting{}) {}

std::vector<OwnershipEffect> Ownership::start() {
  return {Connect{}};
}

std::vector<OwnershipEffect> Ownership::step(const OwnershipInput& input, Instant now,
                                             JournalSequence& journal) {
  Context context{now, journal, {}};
  std::visit([this, &context](const auto& heard) { on(heard, context); }, input);
  return std::move(context.effects);
}

// -- Looking ------------------------------------------------------------------------------------------------

void Ownership::on(const Connected& /*input*/, Context& context) {
  if (std::holds_alternative<Connecting>(state_)) look(context);
}

void Ownership::look(Context& context) {
  state_ = Looking{};
  context.effects.emplace_back(ReadServer{memory_.gtid});
}

void Ownership::on(const ServerUnread& input, Context& context) {
  if (!std::holds_alternative<Looking>(state_)) return;
  stop(input.error, options_.retry, context);
}

void Ownership::on(const ServerRead& input, Context& context) {
  if (!std::holds_alternative<Looking>(state_)) return;
  const ServerRow& server = input.row;
  if (server.schema_version != kSchemaVersion) {
    stop(error_of(ErrorCode::kUnavailable, options_.resource,
                  of_another_version(options_.resource, server.schema_version)),
         options_.retry, context);
    return;
  }
  if (!server.cannot_prepare.empty()) {
    stop(error_of(ErrorCode::kUnavailable, options_.resource, server.cannot_prepare), options_.retry,
         context);
    return;
  }
  const ServerVerdict verdict = compare_server(memory_, server);
  switch (verdict.kind) {
    case ServerVerdict::Kind::kSame: break;
    case ServerVerdict::Kind::kReadOnly:
      stop(error_of(ErrorCode::kUnavailable, options_.resource, verdict.reason, true), options_.retry,
           context);
      return;
    case ServerVerdict::Kind::kOther:
    case ServerVerdict::Kind::kSetBack:
      if (options_.take_over) break;
      stop(error_of(ErrorCode::kSetBack, options_.resource,
                    fmt::format("{}; nothing is proved from absence here", verdict.reason)),
           std::nullopt, context);
      return;
  }
  const bool still_mine = mine_ && mine_->same_owner(server.owner);
  const auto refusal = still_mine ? std::nullopt : judge_row(server.owner);
  if (refusal && !options_.take_over) {
    stop(*refusal, std::nullopt, context);
    return;
  }
  // What was owned before went on without this journal, or back behind it: the journal is not whole [T5].
  const bool is_broken = verdict.kind != ServerVerdict::Kind::kSame || (refusal && memory_.owned);
  if (options_.take_over) use_take_over(context);
  if (is_broken) accept_set_back(context);
  if (refusal && server.owner.agent == options_.agent && server.owner.incarnation >= options_.incarnation) {
    start_anew(server.owner, context);
  } else if (still_mine) {
    own(server.owner, server, context);
  } else {
    claim(server, context);
  }
}

void Ownership::use_take_over(Context& context) {
  if (memory_.take_over_untold) return;
  memory_.take_over_untold = true;
  append(TakeOverUsed{options_.resource}, context);
}

// Durable before `owns`, and so before anything is served.
void Ownership::accept_set_back(Context& context) {
  cleared_ = false;
  append(SetBackAccepted{options_.resource}, context);
  context.effects.emplace_back(AcceptSetBack{});
}

std::optional<Error> Ownership::judge_row(const OwnerRow& row) const {
  const auto& resource = options_.resource;
  if (memory_.knows(row)) {
    if (!mine_) return std::nullopt;
    return error_of(ErrorCode::kSetBack, resource, "the owner row is one of an earlier start of this agent");
  }
  if (is_nobodys(row) && !memory_.owned) return std::nullopt;
  if (memory_.owned &&
      (is_nobodys(row) || (row.agent == options_.agent && row.incarnation < memory_.owned->incarnation))) {
    return error_of(
        ErrorCode::kSetBack, resource,
        fmt::format("the owner row names incarnation {}, but incarnation {} had owned it: the server was "
                    "set back",
                    row.incarnation.value, memory_.owned->incarnation.value));
  }
  return error_of(
      ErrorCode::kNotOwner, resource,
      fmt::format("agent {} (incarnation {}) owns it and this agent's journal does not know that start",
                  row.agent.value, row.incarnation.value));
}

// -- Claiming -----------------------------------------------------------------------------------------------

void Ownership::claim(const ServerRow& server, Context& context) {
  const OwnerRow claimed{options_.agent, options_.incarnation, options_.nonce, server.owner.counter};
  memory_.claim(claimed);
  cleared_ = false;
  const JournalTicket ticket = append(Claiming{options_.resource, claimed}, context);
  state_ = JournallingClaim{ticket, server.owner, claimed, server};
}

// The row's start becomes one that the journal knows.
void Ownership::start_anew(const OwnerRow& row, Context& context) {
  memory_.claim(row);
  const JournalTicket ticket = append(Claiming{options_.resource, row}, context);
  state_ = JournallingAnew{ticket, row.incarnation.value};
}

void Ownership::on(const OwnershipDurable& input, Context& context) {
  if (const auto* journalling = std::get_if<JournallingClaim>(&state_)) {
    if (input.through < journalling->ticket) return;
    context.effects.emplace_back(ClaimRow{journalling->expected, journalling->claimed});
    const WritingRow next{journalling->claimed, journalling->server};
    state_ = next;
  } else if (auto* anew = std::get_if<JournallingAnew>(&state_)) {
    if (anew->told || input.through < anew->ticket) return;
    anew->told = true;
    context.effects.emplace_back(StartAnew{error_of(
        ErrorCode::kSetBack, options_.resource,
        fmt::format(
            "this agent's journal was set back: incarnation {} had owned {}; it starts anew, above it",
            anew->above, options_.resource.value))});
  } else if (const auto* owns = std::get_if<JournallingOwns>(&state_)) {
    if (input.through < owns->ticket) return;
    state_ = Clearing{};
    context.effects.emplace_back(ListSessions{});
  }
}

void Ownership::on(const RowChanged& input, Context& context) {
  if (auto* serving = std::get_if<Serving>(&state_)) {
    counter_came_back(input.won, *serving, context);
    return;
  }
  const auto* writing = std::get_if<WritingRow>(&state_);
  if (writing == nullptr) return;
  if (input.won && *input.won) {
    const WritingRow written = *writing;
    own(written.claimed, written.server, context);
  } else if (input.won) {
    look(context);  // somebody was faster, or an earlier attempt of ours had won: the row tells
  } else {
    state_ = Connecting{};
    context.effects.emplace_back(Connect{});
  }
}

void Ownership::own(const OwnerRow& row, const ServerRow& server, Context& context) {
  mine_ = row;
  memory_.own(row);
  memory_.counter = row.counter;
  memory_.gtid = server.gtid;
  stopped_.reset();
  const ResourceIdentity identity{options_.resource, server.server, server.timeline, server.installation};
  if (memory_.identity != identity) {
    memory_.identity = identity;
    append(identity, context);
  }
  append(CounterRaised{options_.resource, row.counter, server.gtid}, context);
  if (cleared_) {  // reconnected
    options_.take_over = false;
    state_ = Serving{context.now + options_.counter_interval, std::nullopt};
    context.effects.emplace_back(Serve{row});
    return;
  }
  // Also when the connection was lost on the way: a lost session is no reason to spare an old one (attack 2).
  state_ = JournallingOwns{append(Owns{options_.resource, row}, context)};
}

// Every other session of the role is ended before anything is answered: one of them may still be about to
// prepare or commit a branch of an earlier start (attack 2).
void Ownership::on(const SessionsListed& input, Context& context) {
  auto* clearing = std::get_if<Clearing>(&state_);
  if (clearing == nullptr) return;
  if (!input.others.empty()) {
    clearing->lists_at = context.now + options_.session_poll;
    context.effects.emplace_back(EndSessions{input.others});
    return;
  }
  options_.take_over = false;  // used up
  cleared_ = true;
  state_ = Serving{context.now + options_.counter_interval, std::nullopt};
  context.effects.emplace_back(Serve{*mine_});
}

// -- Serving ------------------------------------------------------------------------------------------------

void Ownership::counter_came_back(std::optional<bool> won, Serving& serving, Context& context) {
  if (!serving.raising) return;
  if (won && *won) {
    memory_.counter = *serving.raising;
    serving.raising.reset();
    serving.raises_at = context.now + options_.counter_interval;
    append(CounterRaised{options_.resource, memory_.counter, std::nullopt}, context);
    return;
  }
  Error reason =
      error_of(ErrorCode::kUnavailable, options_.resource, "its owner row has changed; looking why", true);
  if (!won)
    reason = error_of(ErrorCode::kUnavailable, options_.resource, "the connection to it was lost", true);
  stopped_ = reason;
  context.effects.emplace_back(Stop{told(std::move(reason))});
  if (won) {
    look(context);
  } else {
    state_ = Connecting{};
    context.effects.emplace_back(Connect{});
  }
}

void Ownership::on(const Disconnected& input, Context& context) {
  if (std::holds_alternative<Stopped>(state_)) return;
  stopped_ = error_of(ErrorCode::kUnavailable, options_.resource, input.reason, true);
  if (!serves()) {
    state_ = Connecting{context.now + options_.retry};
    return;
  }
  // Most often one session went and the server is there: it is looked at without delay.
  context.effects.emplace_back(Stop{told(*stopped_)});
  state_ = Connecting{};
  context.effects.emplace_back(Connect{});
}

void Ownership::on(const TakeOverAllowed& /*input*/, Context& context) {
  if (serves()) return use_take_over(context);  // the coordinators may think otherwise
  options_.take_over = true;
  if (std::holds_alternative<Stopped>(state_)) look(context);
}

void Ownership::on(const Registered& /*input*/, Context& context) {
  if (!memory_.take_over_untold) return;
  memory_.take_over_untold = false;
  append(TakeOverTold{options_.resource}, context);
}

void Ownership::on(const OwnershipTicked& /*input*/, Context& context) {
  if (const auto wakes = wakes_at(); !wakes || context.now < *wakes) return;
  if (auto* connecting = std::get_if<Connecting>(&state_)) {
    connecting->again_at.reset();
    context.effects.emplace_back(Connect{});
  } else if (auto* clearing = std::get_if<Clearing>(&state_)) {
    clearing->lists_at.reset();
    context.effects.emplace_back(ListSessions{});
  } else if (auto* serving = std::get_if<Serving>(&state_)) {
    serving->raising = memory_.counter + 1;
    context.effects.emplace_back(RaiseCounter{*mine_, *serving->raising});
  } else if (std::holds_alternative<Stopped>(state_)) {
    look(context);
  }
}

std::optional<Instant> Ownership::wakes_at() const {
  if (const auto* connecting = std::get_if<Connecting>(&state_)) return connecting->again_at;
  if (const auto* clearing = std::get_if<Clearing>(&state_)) return clearing->lists_at;
  if (const auto* serving = std::get_if<Serving>(&state_); serving != nullptr && !serving->raising)
    return serving->raises_at;
  if (const auto* stopped = std::get_if<Stopped>(&state_)) return stopped->looks_at;
  return std::nullopt;
}

void Ownership::stop(Error reason, std::optional<Duration> look_again, Context& context) {
  state_ = Stopped{look_again ? std::optional(context.now + *look_again) : std::nullopt};
  stopped_ = reason;
  context.effects.emplace_back(Stop{told(std::move(reason))});
}

// What a refused caller hears: the thing, the place, and the remedy where time alone is none.
Error Ownership::told(Error reason) const {
  reason.message = fmt::format("resource {}: {}", options_.resource.value, reason.message);
  if (const auto* stopped = std::get_if<Stopped>(&state_); stopped != nullptr && !stopped->looks_at)
    reason.message += "; " + health().remedy;
  return reason;
}

JournalTicket Ownership::append(JournalRecord record, Context& context) {
  const JournalTicket ticket = context.journal.next();
  context.effects.emplace_back(AppendJournal{ticket, std::move(record)});
  return ticket;
}

ResourceHealth Ownership::health() const {
  const std::string reason = stopped_ ? stopped_->message : "";
  if (serves()) return {ResourceState::kServing, "", ""};
  if (const auto* stopped = std::get_if<Stopped>(&state_)) {
    if (stopped->looks_at) return health_of(ResourceState::kWaiting, options_.resource, reason);
    const bool set_back = stopped_ && stopped_->code == ErrorCode::kSetBack;
    return health_of(set_back ? ResourceState::kSetBack : ResourceState::kNotOwner, options_.resource,
                     reason);
  }
  if (std::holds_alternative<Connecting>(state_) && stopped_)
    return health_of(ResourceState::kUnreachable, options_.resource, reason);
  if (std::holds_alternative<Clearing>(state_))
    return health_of(ResourceState::kStarting, options_.resource,
                     "the other sessions of its role are being ended");
  return health_of(ResourceState::kStarting, options_.resource, "it is being looked at");
}

std::vector<JournalRecord> Ownership::checkpoint() const {
  std::vector<JournalRecord> records;
  if (memory_.identity) records.emplace_back(*memory_.identity);
  if (memory_.owned) records.emplace_back(Owns{options_.resource, *memory_.owned});
  for (const auto& claimed : memory_.claims)
    records.emplace_back(Claiming{options_.resource, claimed});
  if (memory_.take_over_untold) records.emplace_back(TakeOverUsed{options_.resource});
  records.emplace_back(CounterRaised{options_.resource, memory_.counter, memory_.gtid});
  return records;
}

}  // namespace troth::agent
