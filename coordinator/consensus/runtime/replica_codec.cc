#include "coordinator/consensus/runtime/replica_codec.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "thrift/gen/replicas_types.h"
#include "thrift/runtime/compact_bytes.h"

namespace troth::coordinator::consensus {
namespace {

using compact::guarded;
using compact::Impossible;
using compact::need;
using compact::read_number;

// What logs mean that name no terms.
constexpr LeaseTerms kFirstTerms{Duration{150'000}, 10'000};

constexpr std::int32_t kMostElements = 1 << 20;

// ---- out

std::int64_t number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}
std::int64_t number(Slot slot) {
  return number(slot.value);
}
std::int32_t number(ReplicaId replica) {
  return static_cast<std::int32_t>(replica.value);
}
std::int64_t us(Instant time) {
  return time.time_since_epoch().count();
}

replica::Ballot to_wire(const Ballot& in) {
  replica::Ballot out;
  out.__set_round(number(in.round));
  out.__set_leader(number(in.leader));
  return out;
}

replica::Position to_wire(const LogPosition& in) {
  replica::Position out;
  out.__set_start(number(in.start));
  out.__set_durable(number(in.write.value));
  return out;
}

std::map<std::int32_t, replica::Position> to_wire(const std::map<ReplicaId, LogPosition>& in) {
  std::map<std::int32_t, replica::Position> out;
  for (const auto& [replica, position] : in)
    out.emplace(number(replica), to_wire(position));
  return out;
}

std::vector<std::int32_t> to_wire(const Replicas& in) {
  std::vector<std::int32_t> out;
  for (const auto each : in)
    out.push_back(number(each));
  return out;
}

template <typename Wire>
void set_terms(Wire& out, const LeaseTerms& terms) {
  out.__set_lease_us(terms.length.count());
  out.__set_drift_ppm(static_cast<std::int32_t>(terms.drift_ppm));
}

replica::Configuration to_wire(const Configuration& in) {
  replica::Configuration out;
  out.__set_voters(to_wire(in.voters));
  out.__set_write_quorum(static_cast<std::int32_t>(in.quorums.write));
  out.__set_elect_quorum(static_cast<std::int32_t>(in.quorums.elect));
  out.__set_read_quorum(static_cast<std::int32_t>(in.quorums.read));
  out.__set_learners(to_wire(in.learners));
  if (in.lease_terms != kFirstTerms) set_terms(out, in.lease_terms);
  return out;
}

replica::Entry to_wire(const Entry& in) {
  replica::Entry out;
  if (const auto* command = std::get_if<Command>(&in)) out.__set_command(*command->bytes);
  if (const auto* change = std::get_if<ChangeConfiguration>(&in)) out.__set_change(to_wire(change->next));
  return out;
}

replica::Accepted to_wire(const Accepted& in) {
  replica::Accepted out;
  out.__set_slot(number(in.slot));
  out.__set_ballot(to_wire(in.ballot));
  out.__set_entry(to_wire(in.entry));
  return out;
}

template <typename T>
auto to_wire(const std::vector<T>& in) {
  std::vector<decltype(to_wire(in.front()))> out;
  for (const auto& each : in)
    out.push_back(to_wire(each));
  return out;
}

// One `set` for each message: it says which field of the union it is.

void set(replica::Message& out, const PreVote& in) {
  replica::PreVote wire;
  wire.__set_ballot(to_wire(in.ballot));
  out.__set_pre_vote(wire);
}
void set(replica::Message& out, const PreVoteGranted& in) {
  replica::PreVoteGranted wire;
  wire.__set_ballot(to_wire(in.ballot));
  out.__set_pre_vote_granted(wire);
}
void set(replica::Message& out, const Prepare& in) {
  replica::Prepare wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_above(number(in.above));
  out.__set_prepare(wire);
}
void set(replica::Message& out, const Promise& in) {
  replica::Promise wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_chosen(number(in.chosen));
  wire.__set_accepted(to_wire(in.accepted));
  wire.__set_position(to_wire(in.position));
  wire.__set_above(number(in.above));
  if (in.through) wire.__set_through(number(*in.through));
  out.__set_promise(wire);
}
void set(replica::Message& out, const Refused& in) {
  replica::Refused wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_promised(to_wire(in.promised));
  if (in.leader) wire.__set_leader(number(*in.leader));
  out.__set_refused(wire);
}
void set(replica::Message& out, const Accept& in) {
  replica::Accept wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_first(number(in.first));
  wire.__set_entries(to_wire(in.entries));
  wire.__set_chosen(number(in.chosen));
  out.__set_accept(wire);
}
void set(replica::Message& out, const AcceptedThrough& in) {
  replica::AcceptedThrough wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_first(number(in.first));
  wire.__set_last(number(in.last));
  wire.__set_position(to_wire(in.position));
  out.__set_accepted_through(wire);
}
void set(replica::Message& out, const Heartbeat& in) {
  replica::Heartbeat wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_number(number(in.number.value));
  wire.__set_chosen(number(in.chosen));
  wire.__set_sent_us(us(in.sent));
  wire.__set_positions(to_wire(in.positions));
  out.__set_heartbeat(wire);
}
void set(replica::Message& out, const HeartbeatSeen& in) {
  replica::HeartbeatSeen wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_number(number(in.number.value));
  wire.__set_chosen(number(in.chosen));
  wire.__set_position(to_wire(in.position));
  wire.__set_sent_us(us(in.sent));
  if (in.granted) set_terms(wire, *in.granted);
  out.__set_heartbeat_seen(wire);
}
void set(replica::Message& out, const Fetch& in) {
  replica::Fetch wire;
  wire.__set_above(number(in.above));
  out.__set_fetch(wire);
}
void set(replica::Message& out, const ChosenEntries& in) {
  replica::ChosenEntries wire;
  wire.__set_first(number(in.first));
  wire.__set_entries(to_wire(in.entries));
  wire.__set_chosen(number(in.chosen));
  out.__set_chosen_entries(wire);
}
void set(replica::Message& out, const Release& in) {
  replica::Release wire;
  wire.__set_ballot(to_wire(in.hand_over.ballot));
  wire.__set_successor(number(in.hand_over.successor));
  out.__set_release(wire);
}
void set(replica::Message& out, const TakeOver& in) {
  replica::TakeOver wire;
  wire.__set_ballot(to_wire(in.ballot));
  wire.__set_chosen(number(in.chosen));
  out.__set_take_over(wire);
}
void set(replica::Message& out, const AskStanding& in) {
  replica::AskStanding wire;
  wire.__set_above(number(in.above));
  wire.__set_everything(in.everything);
  wire.__set_start(number(in.start.value));
  wire.__set_fence(to_wire(in.fence));
  out.__set_ask_standing(wire);
}
void set(replica::Message& out, const StandingShown& in) {
  replica::StandingShown wire;
  wire.__set_known(to_wire(in.known));
  wire.__set_promised(to_wire(in.promised));
  wire.__set_chosen(number(in.chosen));
  wire.__set_accepted(to_wire(in.accepted));
  wire.__set_asked_in(number(in.asked_in.value));
  wire.__set_above(number(in.above));
  if (in.through) wire.__set_through(number(*in.through));
  out.__set_standing_shown(wire);
}
void set(replica::Message& out, const AskHighest& in) {
  replica::AskHighest wire;
  wire.__set_number(number(in.number.value));
  if (in.waits_for.value > 0) wire.__set_waits_for(number(in.waits_for));
  out.__set_ask_highest(wire);
}
void set(replica::Message& out, const HighestShown& in) {
  replica::HighestShown wire;
  wire.__set_number(number(in.number.value));
  wire.__set_highest(number(in.highest));
  wire.__set_chosen(number(in.chosen));
  out.__set_highest_shown(wire);
}

replica::Promised to_wire(const Promised& in) {
  replica::Promised out;
  out.__set_ballot(to_wire(in.ballot));
  return out;
}
replica::Learned to_wire(const Learned& in) {
  replica::Learned out;
  out.__set_slot(number(in.slot));
  out.__set_entry(to_wire(in.entry));
  return out;
}
replica::ChosenThrough to_wire(const ChosenThrough& in) {
  replica::ChosenThrough out;
  out.__set_slot(number(in.slot));
  return out;
}
replica::ConfiguredFrom to_wire(const ConfiguredFrom& in) {
  replica::ConfiguredFrom out;
  out.__set_slot(number(in.slot));
  out.__set_configuration(to_wire(in.configuration));
  return out;
}
replica::Started to_wire(const Started& in) {
  replica::Started out;
  out.__set_start(number(in.start));
  return out;
}
replica::PositionsKnown to_wire(const PositionsKnown& in) {
  replica::PositionsKnown out;
  out.__set_positions(to_wire(in.positions));
  return out;
}

replica::StandingAsked to_wire(const StandingAsked& in) {
  replica::StandingAsked out;
  out.__set_position(to_wire(in.position));
  return out;
}

replica::WaitsAfterStart to_wire(const WaitsAfterStart& in) {
  replica::WaitsAfterStart out;
  out.__set_wait_us(in.wait.count());
  return out;
}

// ---- in

// Any 64 bits.
Nonce read_nonce(std::int64_t value) {
  return {static_cast<std::uint64_t>(value)};
}
Slot read_slot(std::int64_t value) {
  return {read_number(value)};
}
ReplicaId read_replica(std::int32_t value) {
  if (value < 1) throw Impossible{fmt::format("replica {}", value)};
  return {static_cast<std::uint32_t>(value)};
}
Instant read_time(std::int64_t time_us) {
  return Instant(Duration(static_cast<Duration::rep>(read_number(time_us))));
}

// "None" is round 0 of replica 0.
Ballot from_wire(const replica::Ballot& in) {
  need(in.__isset.round && in.__isset.leader);
  if (in.round == 0 && in.leader == 0) return {};
  return {read_number(in.round), read_replica(in.leader)};
}

LogPosition from_wire(const replica::Position& in) {
  need(in.__isset.start && in.__isset.durable);
  return {read_number(in.start), {read_number(in.durable)}};
}

std::map<ReplicaId, LogPosition> from_wire(const std::map<std::int32_t, replica::Position>& in) {
  std::map<ReplicaId, LogPosition> out;
  for (const auto& [replica, position] : in)
    out.emplace(read_replica(replica), from_wire(position));
  return out;
}

Replicas read_replicas(const std::vector<std::int32_t>& in) {
  Replicas out;
  for (const auto each : in)
    if (!out.insert(read_replica(each)).second) throw Impossible{fmt::format("replica {} twice", each)};
  return out;
}

// Nothing: it names none.
std::optional<LeaseTerms> read_terms(const auto& in) {
  if (in.__isset.lease_us != in.__isset.drift_ppm) throw Impossible{"half of a lease's terms"};
  if (!in.__isset.lease_us) return std::nullopt;
  const LeaseTerms terms{Duration{static_cast<Duration::rep>(read_number(in.lease_us))},
                         static_cast<std::uint32_t>(in.drift_ppm)};
  if (auto valid = check(terms); !valid) throw Impossible{valid.error().message};
  return terms;
}

Configuration from_wire(const replica::Configuration& in) {
  need(in.__isset.voters && in.__isset.write_quorum && in.__isset.elect_quorum && in.__isset.read_quorum &&
       in.__isset.learners);
  Configuration out{
      .voters = read_replicas(in.voters),
      .quorums = {static_cast<std::uint32_t>(in.write_quorum), static_cast<std::uint32_t>(in.elect_quorum),
                  static_cast<std::uint32_t>(in.read_quorum)},
      .learners = read_replicas(in.learners),
      .lease_terms = read_terms(in).value_or(kFirstTerms)};
  if (auto valid = check(out); !valid) throw Impossible{valid.error().message};
  return out;
}

Entry from_wire(const replica::Entry& in) {
  if (in.__isset.command && in.__isset.change) throw Impossible{"an entry of two kinds"};
  if (in.__isset.command) return Command{std::make_shared<const std::string>(in.command)};
  if (in.__isset.change) return ChangeConfiguration{from_wire(in.change)};
  return NoOp{};
}

Accepted from_wire(const replica::Accepted& in) {
  need(in.__isset.slot && in.__isset.ballot && in.__isset.entry);
  return {read_slot(in.slot), from_wire(in.ballot), from_wire(in.entry)};
}

template <typename Wire>
auto from_wire(const std::vector<Wire>& in) {
  std::vector<decltype(from_wire(in.front()))> out;
  for (const auto& each : in)
    out.push_back(from_wire(each));
  return out;
}

Message from_wire(const replica::PreVote& in) {
  need(in.__isset.ballot);
  return PreVote{from_wire(in.ballot)};
}
Message from_wire(const replica::PreVoteGranted& in) {
  need(in.__isset.ballot);
  return PreVoteGranted{from_wire(in.ballot)};
}
Message from_wire(const replica::Prepare& in) {
  need(in.__isset.ballot && in.__isset.above);
  return Prepare{from_wire(in.ballot), read_slot(in.above)};
}
Message from_wire(const replica::Promise& in) {
  need(in.__isset.ballot && in.__isset.chosen && in.__isset.accepted && in.__isset.position &&
       in.__isset.above);
  Promise out{.ballot = from_wire(in.ballot),
              .chosen = read_slot(in.chosen),
              .accepted = from_wire(in.accepted),
              .position = from_wire(in.position),
              .above = read_slot(in.above),
              .through = std::nullopt};
  if (in.__isset.through) out.through = read_slot(in.through);
  return out;
}
Message from_wire(const replica::Refused& in) {
  need(in.__isset.ballot && in.__isset.promised);
  Refused out{.ballot = from_wire(in.ballot), .promised = from_wire(in.promised), .leader = std::nullopt};
  if (in.__isset.leader) out.leader = read_replica(in.leader);
  return out;
}
Message from_wire(const replica::Accept& in) {
  need(in.__isset.ballot && in.__isset.first && in.__isset.entries && in.__isset.chosen);
  return Accept{from_wire(in.ballot), read_slot(in.first), from_wire(in.entries), read_slot(in.chosen)};
}
Message from_wire(const replica::AcceptedThrough& in) {
  need(in.__isset.ballot && in.__isset.first && in.__isset.last && in.__isset.position);
  return AcceptedThrough{from_wire(in.ballot), read_slot(in.first), read_slot(in.last),
                         from_wire(in.position)};
}
Message from_wire(const replica::Heartbeat& in) {
  need(in.__isset.ballot && in.__isset.number && in.__isset.chosen && in.__isset.sent_us &&
       in.__isset.positions);
  return Heartbeat{.ballot = from_wire(in.ballot),
                   .number = {read_number(in.number)},
                   .chosen = read_slot(in.chosen),
                   .sent = read_time(in.sent_us),
                   .positions = from_wire(in.positions)};
}
Message from_wire(const replica::HeartbeatSeen& in) {
  need(in.__isset.ballot && in.__isset.number && in.__isset.chosen && in.__isset.position &&
       in.__isset.sent_us);
  return HeartbeatSeen{.ballot = from_wire(in.ballot),
                       .number = {read_number(in.number)},
                       .chosen = read_slot(in.chosen),
                       .position = from_wire(in.position),
                       .sent = read_time(in.sent_us),
                       .granted = read_terms(in)};
}
Message from_wire(const replica::Fetch& in) {
  need(in.__isset.above);
  return Fetch{read_slot(in.above)};
}
Message from_wire(const replica::ChosenEntries& in) {
  need(in.__isset.first && in.__isset.entries && in.__isset.chosen);
  return ChosenEntries{read_slot(in.first), from_wire(in.entries), read_slot(in.chosen)};
}
Message from_wire(const replica::Release& in) {
  need(in.__isset.ballot && in.__isset.successor);
  return Release{{from_wire(in.ballot), read_replica(in.successor)}};
}
Message from_wire(const replica::TakeOver& in) {
  need(in.__isset.ballot && in.__isset.chosen);
  return TakeOver{from_wire(in.ballot), read_slot(in.chosen)};
}
Message from_wire(const replica::AskStanding& in) {
  need(in.__isset.above && in.__isset.everything && in.__isset.start && in.__isset.fence);
  return AskStanding{.above = read_slot(in.above),
                     .everything = in.everything,
                     .fence = from_wire(in.fence),
                     .start = read_nonce(in.start)};
}
Message from_wire(const replica::StandingShown& in) {
  need(in.__isset.known && in.__isset.promised && in.__isset.chosen && in.__isset.accepted &&
       in.__isset.asked_in && in.__isset.above);
  StandingShown out{.known = from_wire(in.known),
                    .promised = from_wire(in.promised),
                    .chosen = read_slot(in.chosen),
                    .accepted = from_wire(in.accepted),
                    .asked_in = read_nonce(in.asked_in),
                    .above = read_slot(in.above),
                    .through = std::nullopt};
  if (in.__isset.through) out.through = read_slot(in.through);
  return out;
}
Message from_wire(const replica::AskHighest& in) {
  need(in.__isset.number);
  return AskHighest{{read_number(in.number)}, in.__isset.waits_for ? read_slot(in.waits_for) : Slot{}};
}
Message from_wire(const replica::HighestShown& in) {
  need(in.__isset.number && in.__isset.highest && in.__isset.chosen);
  return HighestShown{{read_number(in.number)}, read_slot(in.highest), read_slot(in.chosen)};
}

Message from_wire(const replica::Message& in) {
  const auto& has = in.__isset;
  if (has.pre_vote) return from_wire(in.pre_vote);
  if (has.pre_vote_granted) return from_wire(in.pre_vote_granted);
  if (has.prepare) return from_wire(in.prepare);
  if (has.promise) return from_wire(in.promise);
  if (has.refused) return from_wire(in.refused);
  if (has.accept) return from_wire(in.accept);
  if (has.accepted_through) return from_wire(in.accepted_through);
  if (has.heartbeat) return from_wire(in.heartbeat);
  if (has.heartbeat_seen) return from_wire(in.heartbeat_seen);
  if (has.fetch) return from_wire(in.fetch);
  if (has.chosen_entries) return from_wire(in.chosen_entries);
  if (has.release) return from_wire(in.release);
  if (has.take_over) return from_wire(in.take_over);
  if (has.ask_standing) return from_wire(in.ask_standing);
  if (has.standing_shown) return from_wire(in.standing_shown);
  if (has.ask_highest) return from_wire(in.ask_highest);
  if (has.highest_shown) return from_wire(in.highest_shown);
  throw Impossible{"it is of a kind that this program does not know"};
}

DurableRecord from_wire(const replica::Promised& in) {
  need(in.__isset.ballot);
  return Promised{from_wire(in.ballot)};
}
DurableRecord from_wire(const replica::Learned& in) {
  need(in.__isset.slot && in.__isset.entry);
  return Learned{read_slot(in.slot), from_wire(in.entry)};
}
DurableRecord from_wire(const replica::ChosenThrough& in) {
  need(in.__isset.slot);
  return ChosenThrough{read_slot(in.slot)};
}
DurableRecord from_wire(const replica::ConfiguredFrom& in) {
  need(in.__isset.slot && in.__isset.configuration);
  return ConfiguredFrom{read_slot(in.slot), from_wire(in.configuration)};
}
DurableRecord from_wire(const replica::Started& in) {
  need(in.__isset.start);
  return Started{read_number(in.start)};
}
DurableRecord from_wire(const replica::PositionsKnown& in) {
  need(in.__isset.positions);
  return PositionsKnown{from_wire(in.positions)};
}

DurableRecord from_wire(const replica::StandingAsked& in) {
  need(in.__isset.position);
  return StandingAsked{from_wire(in.position)};
}

DurableRecord from_wire(const replica::WaitsAfterStart& in) {
  need(in.__isset.wait_us);
  return WaitsAfterStart{Duration{static_cast<Duration::rep>(read_number(in.wait_us))}};
}

template <typename Wire>
auto read_all(std::string_view bytes) {
  return from_wire(compact::read<Wire>(bytes, kMostElements));
}

enum class Type : std::uint32_t {
  kAccepted = 1,
  kPromised = 2,
  kLearned = 3,
  kChosenThrough = 4,
  kConfiguredFrom = 5,
  kStarted = 6,
  kPositionsKnown = 7,
  kWaitsAfterStart = 30,
  kStandingAsked = 31,
};

DurableRecord read_as(txlog::RecordType type, std::string_view bytes) {
  switch (Type{type.number}) {
    case Type::kAccepted: return read_all<replica::Accepted>(bytes);
    case Type::kPromised: return read_all<replica::Promised>(bytes);
    case Type::kLearned: return read_all<replica::Learned>(bytes);
    case Type::kChosenThrough: return read_all<replica::ChosenThrough>(bytes);
    case Type::kConfiguredFrom: return read_all<replica::ConfiguredFrom>(bytes);
    case Type::kStarted: return read_all<replica::Started>(bytes);
    case Type::kPositionsKnown: return read_all<replica::PositionsKnown>(bytes);
    case Type::kWaitsAfterStart: return read_all<replica::WaitsAfterStart>(bytes);
    case Type::kStandingAsked: return read_all<replica::StandingAsked>(bytes);
  }
  throw Impossible{"this program does not know the type"};
}

}  // namespace

std::string encode_message(const Message& message) {
  replica::Message wire;
  std::visit([&](const auto& in) { set(wire, in); }, message);
  return compact::write(wire);
}

Result<Message> decode_message(std::string_view bytes) {
  return guarded<Message>(ErrorCode::kInvalidArgument, "a replica's message",
                          [&] { return read_all<replica::Message>(bytes); });
}

txlog::RecordType type_of(const DurableRecord& record) {
  const auto type = std::visit(
      [](const auto& r) {
        using R = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<R, Accepted>)
          return Type::kAccepted;
        else if constexpr (std::is_same_v<R, Promised>)
          return Type::kPromised;
        else if constexpr (std::is_same_v<R, Learned>)
          return Type::kLearned;
        else if constexpr (std::is_same_v<R, ChosenThrough>)
          return Type::kChosenThrough;
        else if constexpr (std::is_same_v<R, ConfiguredFrom>)
          return Type::kConfiguredFrom;
        else if constexpr (std::is_same_v<R, Started>)
          return Type::kStarted;
        else if constexpr (std::is_same_v<R, PositionsKnown>)
          return Type::kPositionsKnown;
        else if constexpr (std::is_same_v<R, StandingAsked>)
          return Type::kStandingAsked;
        else
          return Type::kWaitsAfterStart;
      },
      record);
  return {static_cast<std::uint32_t>(type), false};
}

std::string encode_record(const DurableRecord& record) {
  return std::visit([](const auto& in) { return compact::write(to_wire(in)); }, record);
}

Result<DurableRecord> decode_record(txlog::RecordType type, std::string_view bytes) {
  return guarded<DurableRecord>(ErrorCode::kCorrupt,
                                fmt::format("a replica's record of type {}", type.number),
                                [&] { return read_as(type, bytes); });
}

}  // namespace troth::coordinator::consensus
