#include "coordinator/decision_store/runtime/record_codec.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "base/check.h"
#include "thrift/gen/records_types.h"
#include "thrift/runtime/compact_bytes.h"

namespace troth::coordinator::store {
namespace {

using apache::thrift::TException;
using apache::thrift::protocol::TCompactProtocolT;
using apache::thrift::transport::TMemoryBuffer;
using compact::Impossible;

enum class Type : std::uint32_t {
  kEpoch = 1,
  kCommit = 2,
  kPreCommit = 3,
  kAbort = 4,
  kBarred = 5,
  kResource = 6,
  kFloors = 7,
  kEnded = 8,
  kResolution = 9,
};

constexpr std::int32_t kMaxBranches = 1 << 16;

// ---- out

std::int64_t us(WallTime time) {
  return time.time_since_epoch().count();
}

std::string bytes(const auto& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size()};
}

std::vector<record::Branch> write_branches(const std::vector<RecordBranch>& branches) {
  std::vector<record::Branch> written;
  for (const auto& branch : branches) {
    record::Branch out;
    out.__set_branch(static_cast<std::int32_t>(branch.branch.value));
    out.__set_resource(static_cast<std::int32_t>(branch.resource.value));
    written.push_back(std::move(out));
  }
  return written;
}

record::EpochAcquired to_wire(const EpochRecord& in) {
  record::EpochAcquired out;
  out.__set_number(static_cast<std::int32_t>(in.epoch.number.value));
  out.__set_nonce(static_cast<std::int64_t>(in.epoch.nonce.value));
  out.__set_acquired_us(us(in.acquired));
  if (in.new_reign.value > 0) out.__set_new_reign(static_cast<std::int32_t>(in.new_reign.value));
  return out;
}

record::Commit to_wire(const CommitRecord& in) {
  record::Commit out;
  out.__set_transaction(in.transaction.text());
  out.__set_branches(write_branches(in.branches));
  if (in.request) {
    out.__set_client(in.request->client);
    out.__set_request_id(bytes(in.request->id.bytes));
    out.__set_digest(bytes(in.digest.bytes));
  }
  out.__set_decided_us(us(in.decided));
  out.__set_label(in.label);
  return out;
}

record::PreCommit to_wire(const PreCommitRecord& in) {
  record::PreCommit out;
  out.__set_transaction(in.transaction.text());
  out.__set_branches(write_branches(in.branches));
  out.__set_proposed_us(us(in.proposed));
  return out;
}

record::Abort to_wire(const AbortRecord& in) {
  record::Abort out;
  out.__set_transaction(in.transaction.text());
  out.__set_decided_us(us(in.decided));
  out.__set_reason(in.reason);
  return out;
}

record::Barred to_wire(const BarredRecord& in) {
  record::Barred out;
  out.__set_client(in.request.client);
  out.__set_request_id(bytes(in.request.id.bytes));
  out.__set_barred_us(us(in.barred));
  return out;
}

record::Resource to_wire(const ResourceRecord& in) {
  record::Resource out;
  out.__set_name(in.name.value);
  out.__set_number(static_cast<std::int32_t>(in.number.value));
  out.__set_kind(in.kind);
  out.__set_identity(in.identity);
  out.__set_agent(in.agent.value);
  out.__set_incarnation(static_cast<std::int64_t>(in.incarnation.value));
  out.__set_address(in.address);
  return out;
}

record::Floors to_wire(const Floors& in) {
  record::Floors out;
  out.__set_epoch(static_cast<std::int32_t>(in.transactions.epoch.value));
  out.__set_sequence(static_cast<std::int64_t>(in.transactions.sequence.value));
  out.__set_request_ms(static_cast<std::int64_t>(in.request_ms));
  return out;
}

record::Ended to_wire(const EndedRecord& in) {
  record::Ended out;
  out.__set_transaction(in.transaction.text());
  out.__set_ended_us(us(in.ended));
  out.__set_heuristic(in.heuristic);
  return out;
}

record::Resolution to_wire(const ResolutionRecord& in) {
  record::Resolution out;
  out.__set_transaction(in.transaction.text());
  out.__set_branch(static_cast<std::int32_t>(in.branch.value));
  out.__set_resource(in.resource.value);
  out.__set_commit(in.commit);
  out.__set_reason(in.reason);
  out.__set_operator_name(in.operator_name);
  out.__set_resolved_us(us(in.resolved));
  return out;
}

// ---- in

void need(bool present, const char* field) {
  if (!present) throw Impossible{fmt::format("field '{}' is missing", field)};
}

TransactionId read_transaction(const std::string& text) {
  auto id = TransactionId::parse(text);
  if (!id) throw Impossible{id.error().message};
  return std::move(*id);
}

WallTime read_time(std::int64_t time_us) {
  return WallTime{Duration{time_us}};
}

template <typename Array>
Array read_bytes(const std::string& text, const char* field) {
  Array array{};
  if (text.size() != array.size())
    throw Impossible{fmt::format("field '{}' has {} bytes, not {}", field, text.size(), array.size())};
  std::ranges::copy(text, array.begin());
  return array;
}

RequestKey read_request(const std::string& client, const std::string& id) {
  return {client, {read_bytes<decltype(RequestId::bytes)>(id, "request_id")}};
}

std::vector<RecordBranch> read_branches(const std::vector<record::Branch>& branches) {
  std::vector<RecordBranch> read;
  for (const auto& branch : branches) {
    const bool fits = branch.branch > 0 && branch.resource > 0 &&
                      branch.resource <= static_cast<std::int32_t>(kMaxResourceNumber);
    if (!fits) throw Impossible{fmt::format("branch {} in resource {}", branch.branch, branch.resource)};
    read.push_back(
        {{static_cast<std::uint32_t>(branch.branch)}, {static_cast<std::uint32_t>(branch.resource)}});
  }
  return read;
}

LogRecord from_wire(const record::EpochAcquired& in) {
  need(in.__isset.number && in.__isset.nonce && in.__isset.acquired_us, "number, nonce or acquired_us");
  return EpochRecord{{{static_cast<std::uint32_t>(in.number)}, {static_cast<std::uint64_t>(in.nonce)}},
                     read_time(in.acquired_us),
                     {in.__isset.new_reign ? static_cast<std::uint32_t>(in.new_reign) : 0}};
}

LogRecord from_wire(const record::Commit& in) {
  need(in.__isset.transaction && in.__isset.branches && in.__isset.decided_us && in.__isset.label,
       "transaction, branches, decided_us or label");
  CommitRecord out{read_transaction(in.transaction),
                   read_branches(in.branches),
                   std::nullopt,
                   {},
                   read_time(in.decided_us),
                   in.label};
  if (in.__isset.request_id) {
    need(in.__isset.client && in.__isset.digest, "client or digest");
    out.request = read_request(in.client, in.request_id);
    out.digest.bytes = read_bytes<decltype(Digest::bytes)>(in.digest, "digest");
  }
  return out;
}

LogRecord from_wire(const record::PreCommit& in) {
  need(in.__isset.transaction && in.__isset.branches && in.__isset.proposed_us,
       "transaction, branches or proposed_us");
  return PreCommitRecord{read_transaction(in.transaction), read_branches(in.branches),
                         read_time(in.proposed_us)};
}

LogRecord from_wire(const record::Abort& in) {
  need(in.__isset.transaction && in.__isset.decided_us && in.__isset.reason,
       "transaction, decided_us or reason");
  return AbortRecord{read_transaction(in.transaction), read_time(in.decided_us), in.reason};
}

LogRecord from_wire(const record::Barred& in) {
  need(in.__isset.client && in.__isset.request_id && in.__isset.barred_us, "client, request_id or barred_us");
  return BarredRecord{read_request(in.client, in.request_id), read_time(in.barred_us)};
}

LogRecord from_wire(const record::Resource& in) {
  need(in.__isset.name && in.__isset.number && in.__isset.kind && in.__isset.identity && in.__isset.agent &&
           in.__isset.incarnation && in.__isset.address,
       "name, number, kind, identity, agent, incarnation or address");
  if (in.number < 1 || in.number > static_cast<std::int32_t>(kMaxResourceNumber))
    throw Impossible{fmt::format("resource number {}", in.number)};
  return ResourceRecord{{in.name},  {static_cast<std::uint32_t>(in.number)},      in.kind,   in.identity,
                        {in.agent}, {static_cast<std::uint64_t>(in.incarnation)}, in.address};
}

LogRecord from_wire(const record::Floors& in) {
  need(in.__isset.epoch && in.__isset.sequence && in.__isset.request_ms, "epoch, sequence or request_ms");
  return Floors{{{static_cast<std::uint32_t>(in.epoch)}, {static_cast<std::uint64_t>(in.sequence)}},
                static_cast<std::uint64_t>(in.request_ms)};
}

LogRecord from_wire(const record::Ended& in) {
  need(in.__isset.transaction && in.__isset.ended_us && in.__isset.heuristic,
       "transaction, ended_us or heuristic");
  return EndedRecord{read_transaction(in.transaction), read_time(in.ended_us), in.heuristic};
}

LogRecord from_wire(const record::Resolution& in) {
  need(in.__isset.transaction && in.__isset.branch && in.__isset.resource && in.__isset.commit &&
           in.__isset.reason && in.__isset.operator_name && in.__isset.resolved_us,
       "transaction, branch, resource, commit, reason, operator_name or resolved_us");
  return ResolutionRecord{read_transaction(in.transaction),
                          {static_cast<std::uint32_t>(in.branch)},
                          {in.resource},
                          in.commit,
                          in.reason,
                          in.operator_name,
                          read_time(in.resolved_us)};
}

template <typename Wire>
Wire read_wire(txlog::Bytes payload) {
  return compact::read<Wire>({reinterpret_cast<const char*>(payload.data()), payload.size()}, kMaxBranches);
}

template <typename Wire>
LogRecord read(txlog::Bytes payload) {
  return from_wire(read_wire<Wire>(payload));
}

std::optional<LogRecord> read_as(txlog::RecordType type, txlog::Bytes payload) {
  switch (Type{type.number}) {
    case Type::kEpoch: return read<record::EpochAcquired>(payload);
    case Type::kCommit: return read<record::Commit>(payload);
    case Type::kPreCommit: return read<record::PreCommit>(payload);
    case Type::kAbort: return read<record::Abort>(payload);
    case Type::kBarred: return read<record::Barred>(payload);
    case Type::kResource: return read<record::Resource>(payload);
    case Type::kFloors: return read<record::Floors>(payload);
    case Type::kEnded: return read<record::Ended>(payload);
    case Type::kResolution: return read<record::Resolution>(payload);
  }
  return std::nullopt;
}

std::unexpected<Error> corrupt(txlog::RecordType type, const std::string& what) {
  return fail(
      ErrorCode::kCorrupt, Effect::kNone,
      fmt::format("a decision record of type {} cannot be read: {}. It was written by a newer program, or "
                  "is damaged: look with `troth log dump`",
                  type.number, what));
}

}  // namespace

txlog::RecordType type_of(const LogRecord& record) {
  const auto type = std::visit(
      [](const auto& r) {
        using R = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<R, EpochRecord>)
          return Type::kEpoch;
        else if constexpr (std::is_same_v<R, CommitRecord>)
          return Type::kCommit;
        else if constexpr (std::is_same_v<R, PreCommitRecord>)
          return Type::kPreCommit;
        else if constexpr (std::is_same_v<R, AbortRecord>)
          return Type::kAbort;
        else if constexpr (std::is_same_v<R, BarredRecord>)
          return Type::kBarred;
        else if constexpr (std::is_same_v<R, ResourceRecord>)
          return Type::kResource;
        else if constexpr (std::is_same_v<R, Floors>)
          return Type::kFloors;
        else if constexpr (std::is_same_v<R, EndedRecord>)
          return Type::kEnded;
        else
          return Type::kResolution;
      },
      record);
  return {static_cast<std::uint32_t>(type), false};
}

struct RecordEncoder::Buffer {
  std::shared_ptr<TMemoryBuffer> memory = std::make_shared<TMemoryBuffer>(512);
  TCompactProtocolT<TMemoryBuffer> protocol{memory};
};

RecordEncoder::RecordEncoder() : buffer_(std::make_unique<Buffer>()) {}
RecordEncoder::~RecordEncoder() = default;

txlog::Bytes RecordEncoder::encode(const LogRecord& record) {
  buffer_->memory->resetBuffer();
  std::visit([&](const auto& r) { to_wire(r).write(&buffer_->protocol); }, record);
  std::uint8_t* data = nullptr;
  std::uint32_t size = 0;
  buffer_->memory->getBuffer(&data, &size);
  return std::as_bytes(std::span(data, size));
}

std::string encode_superseded(const Superseded& superseded) {
  record::Superseded wire;
  wire.__set_by(superseded.by);
  if (superseded.group_is_made) wire.__set_group_is_made(true);
  return compact::write(wire);
}

Result<Superseded> decode_superseded(txlog::Bytes payload) {
  try {
    auto wire = read_wire<record::Superseded>(payload);
    if (!wire.__isset.by) return corrupt(kSupersededType, "field 'by' is missing");
    return Superseded{std::move(wire.by), wire.__isset.group_is_made && wire.group_is_made};
  } catch (const TException& e) {
    return corrupt(kSupersededType, e.what());
  } catch (const Impossible& e) {
    return corrupt(kSupersededType, e.what);
  }
}

Result<LogRecord> decode(txlog::RecordType type, txlog::Bytes payload) {
  if (type == kSupersededType) {
    const auto superseded = decode_superseded(payload);
    if (!superseded) return std::unexpected(superseded.error());
    return fail(
        ErrorCode::kNotOwner, Effect::kNone,
        fmt::format("this decision log was taken over by the group at {}, and a coordinator of its own on it "
                    "would decide beside that: start the group",
                    superseded->by));
  }
  try {
    auto record = read_as(type, payload);
    if (!record) return corrupt(type, "this program does not know the type");
    return std::move(*record);
  } catch (const TException& e) {
    return corrupt(type, e.what());
  } catch (const Impossible& e) {
    return corrupt(type, e.what);
  }
}

}  // namespace troth::coordinator::store
