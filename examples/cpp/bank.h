// examples/cpp/bank.h
//
// A transfer between accounts in two databases, as a service would write it: with the stock Thrift client.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "thrift/gen/Transactions.h"

namespace example {

struct Account {
  std::string resource;  // the database, by the name that Troth knows it under
  std::int32_t id = 0;
};

struct Transfer {
  Account from;
  Account to;
  std::int64_t amount = 0;
  // Made once per transfer, before the first attempt, and kept with the business fact: a second attempt
  // carries the same one, and at most one of them commits.
  std::string request_id;
};

enum class Outcome {
  kTransferred,
  kRefused,  // nothing changed, and nothing will: overdrawn, no such account, ...
  kUnknown,  // no answer in time: call transfer() again with the same request_id, now or after a restart
};

struct Answer {
  Outcome outcome = Outcome::kUnknown;
  std::string detail;  // the transaction's id, or why not
};

// A new request_id: UUID of version 7.
std::string new_request_id();

class Bank {
 public:
  // `client_name` is part of the request's key: one name per service.
  Bank(std::string host, std::uint16_t port, std::string client_name);

  // Tries until there is a certain answer, or `patience` has passed.
  Answer transfer(const Transfer& transfer, std::chrono::milliseconds patience);

 private:
  struct Attempt;
  Attempt attempt(const troth::wire::ExecuteRequest& request);
  troth::wire::TransactionsClient& connected();

  std::string host_;
  std::uint16_t port_;
  std::string client_name_;
  std::unique_ptr<troth::wire::TransactionsClient> client_;  // null: not connected
};

}  // namespace example
