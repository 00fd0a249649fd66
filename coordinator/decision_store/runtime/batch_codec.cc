#include "coordinator/decision_store/runtime/batch_codec.h"

#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "coordinator/decision_store/runtime/record_codec.h"
#include "thrift/gen/records_types.h"
#include "thrift/runtime/compact_bytes.h"

namespace troth::coordinator::store {
namespace {

using apache::thrift::TException;
using compact::Impossible;

enum class Kind : std::int32_t {
  kAcquire = 1,
  kChoose = 2,
  kEnd = 3,
  kRegister = 4,
  kRaiseFloors = 5,
  kResolve = 6
};

constexpr std::int32_t kMostElements = 1 << 20;

// ---- out

class BatchEncoder {
 public:
  record::BatchedRequest to_wire(const Asked& asked) {
    record::BatchedRequest out;
    out.__set_ticket(static_cast<std::int64_t>(asked.ticket.value));
    std::visit([&](const auto& request) { write(out, request); }, asked.request);
    return out;
  }

 private:
  void write(record::BatchedRequest& out, const AcquireEpoch& in) {
    out.__set_kind(static_cast<std::int32_t>(Kind::kAcquire));
    out.__set_nonce(static_cast<std::int64_t>(in.nonce.value));
    out.__set_now_us(in.now.time_since_epoch().count());
    if (in.above.value > 0) out.__set_above(static_cast<std::int32_t>(in.above.value));
  }
  void write(record::BatchedRequest& out, const Choose& in) {
    begin(out, Kind::kChoose, in.epoch);
    std::visit([&](const auto& record) { add(out, record); }, in.record);
  }
  void write(record::BatchedRequest& out, const End& in) {
    begin(out, Kind::kEnd, in.epoch);
    for (const auto& ended : in.ended)
      add(out, ended);
  }
  void write(record::BatchedRequest& out, const RegisterResource& in) {
    begin(out, Kind::kRegister, in.epoch);
    if (in.resource.number.value > 0) return add(out, in.resource);
    auto resource = in.resource;
    resource.number = {1};
    out.__set_unnumbered(true);
    add(out, resource);
  }
  void write(record::BatchedRequest& out, const RaiseFloors& in) {
    begin(out, Kind::kRaiseFloors, in.epoch);
    add(out, in.floors);
  }
  void write(record::BatchedRequest& out, const Resolve& in) {
    begin(out, Kind::kResolve, in.epoch);
    add(out, in.resolution);
  }
  void write(record::BatchedRequest&, const Lookup&) { CHECK(false, "a read is in no batch"); }
  void write(record::BatchedRequest&, const List&) { CHECK(false, "a read is in no batch"); }

  static void begin(record::BatchedRequest& out, Kind kind, EpochNumber epoch) {
    out.__set_kind(static_cast<std::int32_t>(kind));
    out.__set_epoch(static_cast<std::int32_t>(epoch.value));
    out.__set_records({});
  }
  void add(record::BatchedRequest& out, const LogRecord& record) {
    const auto bytes = records_.encode(record);
    out.__set_type(static_cast<std::int32_t>(type_of(record).number));
    out.records.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  RecordEncoder records_;
};

// ---- in

std::vector<LogRecord> read_records(const record::BatchedRequest& in) {
  if (!in.__isset.epoch || !in.__isset.records) throw Impossible{"a request without epoch or records"};
  std::vector<LogRecord> records;
  for (const auto& bytes : in.records) {
    auto record = decode({static_cast<std::uint32_t>(in.type), false}, std::as_bytes(std::span(bytes)));
    if (!record) throw Impossible{record.error().message};
    records.push_back(std::move(*record));
  }
  return records;
}

template <typename Record>
std::vector<Record> read_all(const record::BatchedRequest& in) {
  std::vector<Record> all;
  for (auto& record : read_records(in)) {
    auto* fits = std::get_if<Record>(&record);
    if (fits == nullptr)
      throw Impossible{fmt::format("a request of kind {} with records of type {}", in.kind, in.type)};
    all.push_back(std::move(*fits));
  }
  return all;
}

template <typename Record>
Record read_one(const record::BatchedRequest& in) {
  auto all = read_all<Record>(in);
  if (all.size() != 1)
    throw Impossible{fmt::format("a request of kind {} with {} records", in.kind, all.size())};
  return std::move(all.front());
}

Choosable read_choosable(const record::BatchedRequest& in) {
  auto records = read_records(in);
  if (records.size() != 1) throw Impossible{fmt::format("{} records to choose", records.size())};
  return std::visit(
      [&](auto& record) -> Choosable {
        if constexpr (std::is_constructible_v<Choosable, decltype(record)>)
          return std::move(record);
        else
          throw Impossible{fmt::format("a record of type {} cannot be chosen", in.type)};
      },
      records.front());
}

Request from_wire(const record::BatchedRequest& in) {
  const EpochNumber epoch{static_cast<std::uint32_t>(in.epoch)};
  switch (Kind{in.kind}) {
    case Kind::kAcquire:
      if (!in.__isset.nonce || !in.__isset.now_us) throw Impossible{"an epoch without nonce or time"};
      return AcquireEpoch{.nonce = {static_cast<std::uint64_t>(in.nonce)},
                          .now = WallTime{Duration{in.now_us}},
                          .above = {in.__isset.above ? static_cast<std::uint32_t>(in.above) : 0}};
    case Kind::kChoose: return Choose{epoch, read_choosable(in)};
    case Kind::kEnd: return End{epoch, read_all<EndedRecord>(in)};
    case Kind::kRegister: {
      RegisterResource request{epoch, read_one<ResourceRecord>(in)};
      if (in.__isset.unnumbered && in.unnumbered) request.resource.number = {};
      return request;
    }
    case Kind::kRaiseFloors: return RaiseFloors{epoch, read_one<Floors>(in)};
    case Kind::kResolve: return Resolve{epoch, read_one<ResolutionRecord>(in)};
  }
  throw Impossible{fmt::format("a request of the unknown kind {}", in.kind)};
}

Batch from_wire(const record::Batch& in) {
  if (!in.__isset.replica || !in.__isset.start || !in.__isset.requests)
    throw Impossible{"field 'replica', 'start' or 'requests' is missing"};
  Batch batch{.origin = {{static_cast<std::uint32_t>(in.replica)}, {static_cast<std::uint64_t>(in.start)}},
              .requests = {}};
  for (const auto& request : in.requests) {
    if (!request.__isset.ticket || !request.__isset.kind)
      throw Impossible{"a request without ticket or kind"};
    batch.requests.push_back({{static_cast<std::uint64_t>(request.ticket)}, from_wire(request)});
  }
  return batch;
}

std::unexpected<Error> corrupt(const std::string& what) {
  return fail(
      ErrorCode::kCorrupt, troth::Effect::kNone,
      fmt::format("an entry of the group's log cannot be read: {}. It was written by a newer program, or is "
                  "damaged: this replica must not go on without it",
                  what));
}

}  // namespace

std::string encode_batch(const Batch& batch) {
  BatchEncoder encoder;
  record::Batch out;
  out.__set_replica(static_cast<std::int32_t>(batch.origin.replica.value));
  out.__set_start(static_cast<std::int64_t>(batch.origin.start.value));
  out.__set_requests({});
  for (const auto& asked : batch.requests)
    out.requests.push_back(encoder.to_wire(asked));
  return compact::write(out);
}

Result<Batch> decode_batch(std::string_view bytes) {
  try {
    return from_wire(compact::read<record::Batch>(bytes, kMostElements));
  } catch (const TException& e) {
    return corrupt(e.what());
  } catch (const Impossible& e) {
    return corrupt(e.what);
  }
}

EncodedBatch encode_readable(Batch batch) {
  EncodedBatch encoded;
  encoded.bytes = encode_batch(batch);
  // All of them are well, nearly always: one look at the whole tells.
  auto read = decode_batch(encoded.bytes);
  if (!read) {
    std::erase_if(batch.requests, [&](const Asked& asked) {
      auto alone = decode_batch(encode_batch({.origin = batch.origin, .requests = {asked}}));
      if (alone) return false;
      encoded.unreadable.push_back({asked.ticket, std::move(alone.error())});
      return true;
    });
    encoded.bytes = encode_batch(batch);
    read = decode_batch(encoded.bytes);
    CHECK(read.has_value(), "each request can be read, and all of them cannot: {}", read.error().message);
  }
  encoded.read = std::move(*read);
  return encoded;
}

}  // namespace troth::coordinator::store
