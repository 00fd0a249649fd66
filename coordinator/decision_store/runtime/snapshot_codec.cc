#include "coordinator/decision_store/runtime/snapshot_codec.h"

#include <utility>

#include <fmt/format.h>

#include "coordinator/consensus/runtime/replica_codec.h"
#include "thrift/gen/replicas_types.h"
#include "thrift/runtime/compact_bytes.h"
#include "txlog/crc32c.h"

namespace troth::coordinator::store {
namespace {

using compact::guarded;
using compact::Impossible;
using compact::need;
using compact::read_number;
using compact::write;

constexpr std::int32_t kFormat = 1;
constexpr std::int32_t kMostElements = 1 << 16;
// The union's first field; see thrift/replicas.thrift.
constexpr unsigned kFirstField = 32;

template <typename Wire>
Wire read(std::string_view bytes) {
  return compact::read<Wire>(bytes, kMostElements);
}

// ---- the file's ends

SnapshotBegun from_wire(const replica::SnapshotBegun& in) {
  need(in.__isset.format && in.__isset.cluster && in.__isset.salt);
  if (in.format != kFormat)
    throw Impossible{fmt::format("its format is {}, and this program knows {} alone", in.format, kFormat)};
  if (in.salt == 0) throw Impossible{"it has no salt"};
  return {{in.cluster}, static_cast<std::uint64_t>(in.salt)};
}

SnapshotEnded from_wire(const replica::SnapshotEnded& in) {
  need(in.__isset.slot && in.__isset.configured && in.__isset.records);
  SnapshotEnded ended{.slot = {read_number(in.slot)}, .configured = {}, .records = read_number(in.records)};
  for (const auto& bytes : in.configured) {
    auto record = consensus::decode_record(consensus::type_of(consensus::ConfiguredFrom{}), bytes);
    if (!record) throw Impossible{record.error().message};
    ended.configured.push_back(std::get<consensus::ConfiguredFrom>(std::move(*record)));
  }
  if (ended.configured.empty() || ended.configured.front().slot.value > ended.slot.value + 1)
    throw Impossible{"it does not say who counts the next slot"};
  return ended;
}

// ---- messages

replica::SnapshotName to_wire(const SnapshotName& in) {
  replica::SnapshotName out;
  out.__set_slot(static_cast<std::int64_t>(in.slot.value));
  out.__set_salt(static_cast<std::int64_t>(in.salt));
  return out;
}
SnapshotName from_wire(const replica::SnapshotName& in) {
  need(in.__isset.slot && in.__isset.salt);
  return {{read_number(in.slot)}, static_cast<std::uint64_t>(in.salt)};
}

void set(replica::SnapshotMessage& out, const SnapshotOffered& in) {
  replica::SnapshotOffered wire;
  wire.__set_name(to_wire(in.name));
  wire.__set_bytes(static_cast<std::int64_t>(in.bytes));
  wire.__set_cluster(in.cluster.value);
  out.__set_offered(wire);
}
void set(replica::SnapshotMessage& out, const ChunkAsked& in) {
  replica::ChunkAsked wire;
  wire.__set_name(to_wire(in.name));
  wire.__set_offset(static_cast<std::int64_t>(in.offset));
  out.__set_chunk_asked(wire);
}
void set(replica::SnapshotMessage& out, const ChunkSent& in) {
  replica::ChunkSent wire;
  wire.__set_name(to_wire(in.name));
  wire.__set_offset(static_cast<std::int64_t>(in.offset));
  wire.__set_bytes(in.bytes);
  wire.__set_checksum(static_cast<std::int32_t>(txlog::crc32c(txlog::bytes_of(in.bytes))));
  out.__set_chunk_sent(wire);
}
void set(replica::SnapshotMessage& out, const SnapshotWithdrawn& in) {
  replica::SnapshotWithdrawn wire;
  wire.__set_name(to_wire(in.name));
  out.__set_withdrawn(wire);
}

SnapshotOffered from_wire(const replica::SnapshotOffered& in) {
  need(in.__isset.name && in.__isset.bytes && in.__isset.cluster);
  return {from_wire(in.name), read_number(in.bytes), {in.cluster}};
}
ChunkAsked from_wire(const replica::ChunkAsked& in) {
  need(in.__isset.name && in.__isset.offset);
  return {from_wire(in.name), read_number(in.offset)};
}
ChunkSent from_wire(const replica::ChunkSent& in) {
  need(in.__isset.name && in.__isset.offset && in.__isset.bytes && in.__isset.checksum);
  if (static_cast<std::uint32_t>(in.checksum) != txlog::crc32c(txlog::bytes_of(in.bytes)))
    throw Impossible{fmt::format("the chunk at {} has another checksum", in.offset)};
  return {from_wire(in.name), read_number(in.offset), in.bytes};
}
SnapshotWithdrawn from_wire(const replica::SnapshotWithdrawn& in) {
  need(in.__isset.name);
  return {from_wire(in.name)};
}
SnapshotMessage from_wire(const replica::SnapshotMessage& in) {
  const auto kinds =
      in.__isset.offered + in.__isset.chunk_asked + in.__isset.chunk_sent + in.__isset.withdrawn;
  if (kinds != 1) throw Impossible{"it is of no kind, or of several"};
  if (in.__isset.offered) return from_wire(in.offered);
  if (in.__isset.chunk_asked) return from_wire(in.chunk_asked);
  if (in.__isset.chunk_sent) return from_wire(in.chunk_sent);
  return from_wire(in.withdrawn);
}

}  // namespace

std::string encode(const SnapshotBegun& begun) {
  replica::SnapshotBegun wire;
  wire.__set_format(kFormat);
  wire.__set_cluster(begun.cluster.value);
  wire.__set_salt(static_cast<std::int64_t>(begun.salt));
  return write(wire);
}

std::string encode(const SnapshotEnded& ended) {
  replica::SnapshotEnded wire;
  wire.__set_slot(static_cast<std::int64_t>(ended.slot.value));
  wire.__set_configured({});
  for (const auto& each : ended.configured)
    wire.configured.push_back(consensus::encode_record(each));
  wire.__set_records(static_cast<std::int64_t>(ended.records));
  return write(wire);
}

Result<SnapshotBegun> decode_snapshot_begun(std::string_view bytes) {
  return guarded<SnapshotBegun>(ErrorCode::kCorrupt, "a snapshot's first record",
                                [&] { return from_wire(read<replica::SnapshotBegun>(bytes)); });
}

Result<SnapshotEnded> decode_snapshot_ended(std::string_view bytes) {
  return guarded<SnapshotEnded>(ErrorCode::kCorrupt, "a snapshot's last record",
                                [&] { return from_wire(read<replica::SnapshotEnded>(bytes)); });
}

// A field that stands more than 15 behind the last has a byte for its type, here a struct's, then its id: zigzag, in
// groups of seven bits.
bool is_snapshot_message(std::string_view bytes) {
  constexpr char kFarStruct = 0x0c;
  return bytes.size() >= 2 && bytes[0] == kFarStruct &&
         static_cast<unsigned char>(bytes[1]) >= 2 * kFirstField;
}

std::string encode_snapshot_message(const SnapshotMessage& message) {
  replica::SnapshotMessage wire;
  std::visit([&](const auto& in) { set(wire, in); }, message);
  return write(wire);
}

Result<SnapshotMessage> decode_snapshot_message(std::string_view bytes) {
  return guarded<SnapshotMessage>(ErrorCode::kInvalidArgument, "a replica's message of a snapshot",
                                  [&] { return from_wire(read<replica::SnapshotMessage>(bytes)); });
}

}  // namespace troth::coordinator::store
