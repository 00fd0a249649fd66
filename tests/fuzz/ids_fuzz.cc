// Ids come from clients, from rows in databases and from logs: whatever the text, parsing refuses it or keeps
// all of it.
#include "base/check.h"
#include "base/ids.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto id = troth::TransactionId::parse(text)) CHECK(id->text() == text);
  if (const auto id = troth::RequestId::parse(text)) CHECK(troth::RequestId::parse(id->text()) == id);
  (void)troth::parse_cluster_id(text);
  (void)troth::parse_resource_name(text);
  return 0;
}
