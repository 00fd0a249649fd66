// bank_transfer HOST:PORT FROM_RESOURCE:ID TO_RESOURCE:ID AMOUNT [REQUEST_ID]
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "examples/cpp/bank.h"

namespace {

// "accounts_pg:1" -> resource and id.
std::optional<example::Account> parse_account(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  return example::Account{text.substr(0, colon), std::atoi(text.c_str() + colon + 1)};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "";
  const auto colon = address.rfind(':');
  const auto from = parse_account(argc > 2 ? argv[2] : "");
  const auto to = parse_account(argc > 3 ? argv[3] : "");
  const auto amount = argc > 4 ? std::atoll(argv[4]) : 0;
  if (argc > 6 || colon == std::string::npos || !from || !to || amount <= 0) {
    std::fprintf(stderr,
                 "usage: bank_transfer HOST:PORT FROM_RESOURCE:ID TO_RESOURCE:ID AMOUNT [REQUEST_ID]\n");
    return 2;
  }
  const example::Transfer transfer{*from, *to, amount, argc > 5 ? argv[5] : example::new_request_id()};
  // Printed first: whatever happens to this process, the transfer can be asked for again.
  std::printf("request_id %s\n", transfer.request_id.c_str());
  std::fflush(stdout);

  const auto port = static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1));
  example::Bank bank(address.substr(0, colon), port, "bank-example");
  const auto answer = bank.transfer(transfer, std::chrono::seconds(30));
  switch (answer.outcome) {
    case example::Outcome::kTransferred: std::printf("transferred: %s\n", answer.detail.c_str()); return 0;
    case example::Outcome::kRefused: std::printf("refused: %s\n", answer.detail.c_str()); return 1;
    case example::Outcome::kUnknown: break;
  }
  std::printf("unknown: %s\nrun the same command again with the request_id above\n", answer.detail.c_str());
  return 3;
}
