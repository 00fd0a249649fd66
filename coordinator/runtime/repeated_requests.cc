#include "coordinator/runtime/repeated_requests.h"

#include <string>

#include <thrift/Thrift.h>
#include <thrift/protocol/TProtocol.h>

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

bool names_a_request(rpc::Encoding encoding, rpc::Bytes message, std::int16_t request_id) {
  rpc::MessageReader reader(encoding, {});
  auto& in = *reader.begin(message);
  std::string method;
  TMessageType type{};
  std::int32_t seqid = 0;
  in.readMessageBegin(method, type, seqid);
  return find_field(in, kRequestField, T_STRUCT) && find_field(in, request_id, T_STRING);
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
    return names_a_request(header->encoding, message, field) ? Effect::kUnknown : Effect::kNone;
  } catch (const apache::thrift::TException&) {
    return Effect::kNone;
  }
}

}  // namespace troth::coordinator
