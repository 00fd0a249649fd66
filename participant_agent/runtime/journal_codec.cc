#include "participant_agent/runtime/journal_codec.h"

#include <exception>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "participant_agent/runtime/wire.h"
#include "thrift/gen/journal_types.h"

namespace troth::agent {
namespace {

namespace stored = wire::journal;
using apache::thrift::protocol::TCompactProtocolT;
using apache::thrift::transport::TMemoryBuffer;
using Compact = TCompactProtocolT<TMemoryBuffer>;

// On disk: a number is never used again for something else.
enum class Type : std::uint32_t {
  kEpochSeen = 1,
  kWatermarkRaised = 2,
  kClaiming = 3,
  kOwns = 4,
  kCounterRaised = 5,
  kResourceIdentity = 6,
  kBranchBegun = 7,
  kDecisionLearned = 8,
  kFinished = 9,
  kResolved = 10,
  kEndedByLeader = 11,
  kFloorRaised = 12,
  kAgentStarted = 13,
  kSetBackAccepted = 14,
  kReignDoubted = 15,
  kTakeOverUsed = 16,
  kTakeOverTold = 17,
};

// What a stored struct that does not make sense is reported as.
struct Damaged {
  std::string what;
};

template <typename T>
T sound(Result<T> result) {
  if (!result) throw Damaged{result.error().message};
  return *std::move(result);
}

template <typename T>
std::int64_t signed_of(const T& named) {
  return static_cast<std::int64_t>(named.value);
}

template <typename Named>
Named named_of(std::int64_t stored) {
  return Named{static_cast<decltype(Named::value)>(stored)};
}

// ---- to bytes

template <typename Struct>
EncodedRecord encoded(Type type, const Struct& value) {
  const auto buffer = std::make_shared<TMemoryBuffer>();
  Compact protocol(buffer);
  value.write(&protocol);
  return {{static_cast<std::uint32_t>(type), false}, buffer->getBufferAsString()};
}

stored::Owner owner_of(const OwnerRow& row) {
  stored::Owner owner;
  owner.agent = row.agent.value;
  owner.incarnation = signed_of(row.incarnation);
  owner.nonce = signed_of(row.nonce);
  owner.counter = static_cast<std::int64_t>(row.counter);
  return owner;
}

template <typename Struct>
Struct of_branch(const BranchId& id, const ResourceName& resource) {
  Struct out;
  out.transaction = id.transaction.text();
  out.branch = static_cast<std::int32_t>(id.branch.value);
  out.resource = resource.value;
  return out;
}

wire::Epoch stored_epoch(const Epoch& epoch) {
  wire::Epoch out;
  out.number = signed_of(epoch.number);
  out.nonce = signed_of(epoch.nonce);
  return out;
}

EncodedRecord encode_one(const EpochSeen& record) {
  stored::EpochSeen out;
  out.epoch = stored_epoch(record.epoch);
  return encoded(Type::kEpochSeen, out);
}

EncodedRecord encode_one(const SetBackAccepted& record) {
  stored::SetBackAccepted out;
  out.resource = record.resource.value;
  return encoded(Type::kSetBackAccepted, out);
}

EncodedRecord encode_one(const TakeOverUsed& record) {
  stored::TakeOverUsed out;
  out.resource = record.resource.value;
  return encoded(Type::kTakeOverUsed, out);
}

EncodedRecord encode_one(const TakeOverTold& record) {
  stored::TakeOverTold out;
  out.resource = record.resource.value;
  return encoded(Type::kTakeOverTold, out);
}

EncodedRecord encode_one(const ReignDoubted& record) {
  stored::ReignDoubted out;
  out.rival = stored_epoch(record.rival);
  return encoded(Type::kReignDoubted, out);
}

EncodedRecord encode_one(const WatermarkRaised& record) {
  stored::WatermarkRaised out;
  out.epoch = signed_of(record.watermark.epoch);
  out.sequence = signed_of(record.watermark.sequence);
  return encoded(Type::kWatermarkRaised, out);
}

EncodedRecord encode_one(const Claiming& record) {
  stored::Claiming out;
  out.resource = record.resource.value;
  out.row = owner_of(record.row);
  return encoded(Type::kClaiming, out);
}

EncodedRecord encode_one(const Owns& record) {
  stored::Owns out;
  out.resource = record.resource.value;
  out.row = owner_of(record.row);
  return encoded(Type::kOwns, out);
}

EncodedRecord encode_one(const CounterRaised& record) {
  stored::CounterRaised out;
  out.resource = record.resource.value;
  out.counter = static_cast<std::int64_t>(record.counter);
  if (record.gtid) out.__set_gtid(*record.gtid);
  return encoded(Type::kCounterRaised, out);
}

EncodedRecord encode_one(const ResourceIdentity& record) {
  stored::ResourceIdentity out;
  out.resource = record.resource.value;
  out.server = record.server;
  out.timeline = static_cast<std::int64_t>(record.timeline);
  out.installation = record.installation;
  return encoded(Type::kResourceIdentity, out);
}

EncodedRecord encode_one(const BranchBegun& record) {
  const auto& work = record.work;
  stored::BranchBegun out;
  out.transaction = work.id.transaction.text();
  out.branch = static_cast<std::int32_t>(work.id.branch.value);
  out.work = wire_of(work.resource, work.statements, work.declared_read_only);
  out.epoch = signed_of(work.epoch);
  out.incarnation = signed_of(work.incarnation);
  if (work.request) out.__set_request(wire_of(*work.request));
  out.digest.assign(work.digest.bytes.begin(), work.digest.bytes.end());
  out.isolation = wire_of(work.isolation);
  out.connection = signed_of(record.session.connection);
  out.server_start = record.session.server_start.value;
  out.timeout_us = work.timeout.count();
  if (record.set_back) out.__set_set_back(true);
  return encoded(Type::kBranchBegun, out);
}

EncodedRecord encode_one(const DecisionLearned& record) {
  return encoded(Type::kDecisionLearned, of_branch<stored::DecisionLearned>(record.id, record.resource));
}

EncodedRecord encode_one(const Finished& record) {
  auto out = of_branch<stored::Finished>(record.id, record.resource);
  out.outcome = wire_of(record.end);
  return encoded(Type::kFinished, out);
}

EncodedRecord encode_one(const Resolved& record) {
  auto out = of_branch<stored::Resolved>(record.id, record.resource);
  out.commit = record.commit;
  out.reason = record.reason;
  out.operator_name = record.operator_name;
  return encoded(Type::kResolved, out);
}

EncodedRecord encode_one(const EndedByLeader& record) {
  stored::EndedByLeader out;
  for (const auto& transaction : record.transactions)
    out.transactions.push_back(transaction.text());
  return encoded(Type::kEndedByLeader, out);
}

EncodedRecord encode_one(const FloorRaised& record) {
  stored::FloorRaised out;
  out.resource = record.resource.value;
  out.epoch = signed_of(record.floors.position.epoch);
  out.sequence = signed_of(record.floors.position.sequence);
  out.request_ms = static_cast<std::int64_t>(record.floors.request_ms);
  return encoded(Type::kFloorRaised, out);
}

EncodedRecord encode_one(const AgentStarted& record) {
  stored::AgentStarted out;
  out.incarnation = signed_of(record.incarnation);
  return encoded(Type::kAgentStarted, out);
}

// ---- from bytes

template <typename Struct>
Struct read(txlog::Bytes payload) {
  const auto buffer = std::make_shared<TMemoryBuffer>();
  buffer->write(reinterpret_cast<const std::uint8_t*>(payload.data()),
                static_cast<std::uint32_t>(payload.size()));
  Compact protocol(buffer);
  Struct value;
  value.read(&protocol);
  return value;
}

ResourceName resource_of(const std::string& name) {
  return sound(parse_resource_name(name));
}

OwnerRow row_of(const stored::Owner& owner) {
  return {AgentId{owner.agent}, named_of<Incarnation>(owner.incarnation), named_of<Nonce>(owner.nonce),
          static_cast<std::uint64_t>(owner.counter)};
}

template <typename Struct>
BranchId id_of(const Struct& in) {
  return sound(branch_of(in.transaction, in.branch));
}

BranchBegun begun_of(const stored::BranchBegun& in) {
  BranchBegun begun;
  auto& work = begun.work;
  work.id = id_of(in);
  work.resource = resource_of(in.work.resource);
  work.epoch = named_of<EpochNumber>(in.epoch);
  work.incarnation = named_of<Incarnation>(in.incarnation);
  if (in.__isset.request) work.request = sound(request_key_of(in.request));
  work.digest = sound(digest_of(in.digest));
  work.isolation = sound(isolation_of(in.isolation));
  work.declared_read_only = in.work.read_only;
  work.statements = sound(statements_of(in.work));
  work.announced_statements = static_cast<std::uint32_t>(work.statements.size());
  work.timeout = Duration{in.timeout_us};
  begun.session = {named_of<ConnectionId>(in.connection), ServerStart{in.server_start}};
  begun.set_back = in.__isset.set_back && in.set_back;
  return begun;
}

Epoch epoch_of(const wire::Epoch& in) {
  return {named_of<EpochNumber>(in.number), named_of<Nonce>(in.nonce)};
}

std::optional<JournalRecord> decode_known(Type type, txlog::Bytes payload) {
  switch (type) {
    case Type::kEpochSeen: return EpochSeen{epoch_of(read<stored::EpochSeen>(payload).epoch)};
    case Type::kWatermarkRaised: {
      const auto in = read<stored::WatermarkRaised>(payload);
      return WatermarkRaised{{named_of<EpochNumber>(in.epoch), named_of<Sequence>(in.sequence)}};
    }
    case Type::kClaiming: {
      const auto in = read<stored::Claiming>(payload);
      return Claiming{resource_of(in.resource), row_of(in.row)};
    }
    case Type::kOwns: {
      const auto in = read<stored::Owns>(payload);
      return Owns{resource_of(in.resource), row_of(in.row)};
    }
    case Type::kCounterRaised: {
      const auto in = read<stored::CounterRaised>(payload);
      return CounterRaised{resource_of(in.resource), static_cast<std::uint64_t>(in.counter),
                           in.__isset.gtid ? std::optional(in.gtid) : std::nullopt};
    }
    case Type::kResourceIdentity: {
      const auto in = read<stored::ResourceIdentity>(payload);
      return ResourceIdentity{resource_of(in.resource), in.server, static_cast<std::uint64_t>(in.timeline),
                              in.installation};
    }
    case Type::kBranchBegun: return begun_of(read<stored::BranchBegun>(payload));
    case Type::kDecisionLearned: {
      const auto in = read<stored::DecisionLearned>(payload);
      return DecisionLearned{id_of(in), resource_of(in.resource)};
    }
    case Type::kFinished: {
      const auto in = read<stored::Finished>(payload);
      return Finished{id_of(in), resource_of(in.resource), sound(end_of(in.outcome))};
    }
    case Type::kResolved: {
      const auto in = read<stored::Resolved>(payload);
      return Resolved{id_of(in), resource_of(in.resource), in.commit, in.reason, in.operator_name};
    }
    case Type::kEndedByLeader: {
      EndedByLeader record;
      for (const auto& text : read<stored::EndedByLeader>(payload).transactions) {
        record.transactions.push_back(sound(TransactionId::parse(text)));
      }
      return record;
    }
    case Type::kFloorRaised: {
      const auto in = read<stored::FloorRaised>(payload);
      return FloorRaised{resource_of(in.resource),
                         {{named_of<EpochNumber>(in.epoch), named_of<Sequence>(in.sequence)},
                          static_cast<std::uint64_t>(in.request_ms)}};
    }
    case Type::kSetBackAccepted:
      return SetBackAccepted{resource_of(read<stored::SetBackAccepted>(payload).resource)};
    case Type::kTakeOverUsed: return TakeOverUsed{resource_of(read<stored::TakeOverUsed>(payload).resource)};
    case Type::kTakeOverTold: return TakeOverTold{resource_of(read<stored::TakeOverTold>(payload).resource)};
    case Type::kReignDoubted: return ReignDoubted{epoch_of(read<stored::ReignDoubted>(payload).rival)};
    case Type::kAgentStarted:
      return AgentStarted{named_of<Incarnation>(read<stored::AgentStarted>(payload).incarnation)};
  }
  return std::nullopt;
}

std::unexpected<Error> damaged(const txlog::RecordView& record, const std::string& what) {
  return fail(
      ErrorCode::kCorrupt, Effect::kNone,
      fmt::format("journal record {} in segment {} (type {}) does not read: {}; look at it with `troth log "
                  "dump`, and keep a copy of the directory",
                  record.position.sequence.value, record.position.segment.value, record.type.number, what));
}

}  // namespace

EncodedRecord encode(const JournalRecord& record) {
  return std::visit([](const auto& one) { return encode_one(one); }, record);
}

Result<std::optional<JournalRecord>> decode(const txlog::RecordView& record) {
  try {
    auto known = decode_known(static_cast<Type>(record.type.number), record.payload);
    if (!known && !record.type.optional)
      return damaged(record, "this version does not know its type: upgrade first");
    return known;
  } catch (const Damaged& problem) {
    return damaged(record, problem.what);
  } catch (const std::exception& problem) {
    return damaged(record, problem.what());
  }
}

}  // namespace troth::agent
