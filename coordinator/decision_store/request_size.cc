#include "coordinator/decision_store/request_size.h"

#include <numeric>

namespace troth::coordinator::store {
namespace {

// A number with its field's header takes 12 bytes at most, and no request or record has more than ten of them.
constexpr std::size_t kNumbers = 120;
constexpr std::size_t kTextLength = 8;
constexpr std::size_t kBranch = 24;

std::size_t text(const std::string& value) {
  return kTextLength + value.size();
}
// "<cluster>.<epoch>.<sequence>.s<n>"
std::size_t text(const TransactionId& id) {
  return text(id.cluster.value) + 48;
}
std::size_t key(const RequestKey& key) {
  return text(key.client) + kTextLength + sizeof key.id.bytes;
}

std::size_t bytes_of(const CommitRecord& in) {
  return kNumbers + text(in.transaction) + kBranch * in.branches.size() +
         (in.request ? key(*in.request) : 0) + sizeof(Digest) + text(in.label);
}
std::size_t bytes_of(const PreCommitRecord& in) {
  return kNumbers + text(in.transaction) + kBranch * in.branches.size();
}
std::size_t bytes_of(const AbortRecord& in) {
  return kNumbers + text(in.transaction) + text(in.reason);
}
std::size_t bytes_of(const BarredRecord& in) {
  return kNumbers + key(in.request);
}
std::size_t bytes_of(const ResourceRecord& in) {
  return kNumbers + text(in.name.value) + text(in.kind) + text(in.identity) + text(in.agent.value) +
         text(in.address);
}
std::size_t bytes_of(const Floors&) {
  return kNumbers;
}
std::size_t bytes_of(const EndedRecord& in) {
  return kNumbers + text(in.transaction);
}
std::size_t bytes_of(const ResolutionRecord& in) {
  return kNumbers + text(in.transaction) + text(in.resource.value) + text(in.reason) + text(in.operator_name);
}

std::size_t payload(const AcquireEpoch&) {
  return 0;
}
std::size_t payload(const Choose& in) {
  return std::visit([](const auto& record) { return bytes_of(record); }, in.record);
}
std::size_t payload(const End& in) {
  return std::accumulate(in.ended.begin(), in.ended.end(), std::size_t{0},
                         [](std::size_t sum, const auto& each) { return sum + bytes_of(each); });
}
std::size_t payload(const RegisterResource& in) {
  return bytes_of(in.resource);
}
std::size_t payload(const RaiseFloors& in) {
  return bytes_of(in.floors);
}
std::size_t payload(const Resolve& in) {
  return bytes_of(in.resolution);
}

}  // namespace

std::size_t most_bytes(const Request& request) {
  return std::visit(
      [](const auto& in) -> std::size_t {
        if constexpr (requires { payload(in); })
          return kNumbers + payload(in);
        else
          return 0;
      },
      request);
}

}  // namespace troth::coordinator::store
