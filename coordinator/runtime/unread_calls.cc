#include "coordinator/runtime/unread_calls.h"

#include <string>

#include <thrift/Thrift.h>
#include <thrift/protocol/TProtocol.h>

#include "thrift/gen/transactions_types.h"
#include "thrift/message.h"
#include "thrift/runtime/codec.h"

namespace troth::coordinator {
namespace {

using namespace apache::thrift::protocol;

// thrift/transactions.thrift: execute(1: ExecuteRequest request), and there 4: request_id.
constexpr std::int16_t kRequestField = 1;
constexpr std::int16_t kRequestIdField = 4;
// begin_transaction(1: BeginRequest request), and there 3: request_id.
constexpr std::int16_t kBegunRequestIdField = 3;
// status(1: StatusRequest request), and there 7: consistency.
constexpr std::int16_t kConsistencyField = 7;

// Stands inside a struct afterwards, behind the header of that field; or at the struct's end, and says false.
bool find_field(TProtocol& in, std::int16_t wanted, TType wanted_type) {
  std::string name;
  in.readStructBegin(name);
  while (true) {
    TType type{};
    std::int16_t field = 0;
    in.readFieldBegin(name, type, field);
    if (type == T_STOP) return false;
    if (field == wanted && type == wanted_type) return true;
    in.skip(type);
    in.readFieldEnd();
  }
}

// Stands at the field's value afterwards; or says false.
bool find_field_of_request(TProtocol& in, std::int16_t field, TType type) {
  std::string method;
  TMessageType kind{};
  std::int32_t seqid = 0;
  in.readMessageBegin(method, kind, seqid);
  return find_field(in, kRequestField, T_STRUCT) && find_field(in, field, type);
}

}  // namespace

Effect effect_of_refused_call(std::string_view method, rpc::Bytes message) {
  // It may be the second one, or come behind a commit.
  if (method == "commit" || method == "rollback") return Effect::kUnknown;
  if (method != "execute" && method != "begin_transaction") return Effect::kNone;
  if (message.empty()) return Effect::kUnknown;
  const auto header = rpc::read_message_header(message);
  if (!header) return Effect::kNone;
  try {
    const auto field = method == "begin_transaction" ? kBegunRequestIdField : kRequestIdField;
    rpc::MessageReader reader(header->encoding, {});
    return find_field_of_request(*reader.begin(message), field, T_STRING) ? Effect::kUnknown : Effect::kNone;
  } catch (const apache::thrift::TException&) {
    return Effect::kNone;
  }
}

bool is_for_any_coordinator(std::string_view method, rpc::Bytes message) {
  if (method != "status") return false;
  const auto header = rpc::read_message_header(message);
  if (!header) return false;
  try {
    rpc::MessageReader reader(header->encoding, {});
    auto& in = *reader.begin(message);
    if (!find_field_of_request(in, kConsistencyField, T_I32)) return false;
    std::int32_t consistency = 0;
    in.readI32(consistency);
    return consistency == wire::Consistency::QUORUM || consistency == wire::Consistency::SESSION ||
           consistency == wire::Consistency::EVENTUAL;
  } catch (const apache::thrift::TException&) {
    return false;
  }
}

}  // namespace troth::coordinator
