// tests/unit/commit_path/teller.h
//
// A client of the coordinator: one pipelining channel on an event loop of its own, which runs only inside a
// call.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>

#include "base/result.h"
#include "base/time.h"
#include "thrift/address.h"
#include "thrift/gen/administration_types.h"
#include "thrift/gen/transactions_methods.h"
#include "thrift/gen/transactions_types.h"
#include "thrift/runtime/channel.h"

namespace troth {

// One branch of a request to build.
struct Part {
  std::string resource;
  std::string sql;
  bool read_only = false;
};

[[nodiscard]] std::string fresh_request_id();
[[nodiscard]] wire::ExecuteRequest request_of(
    const std::vector<Part>& parts, const std::string& request_id,
    wire::Acknowledgement::type acknowledgement = wire::Acknowledgement::APPLIED,
    Duration timeout = std::chrono::seconds(10));

class Teller {
 public:
  explicit Teller(rpc::Address coordinator, rpc::Encoding encoding = rpc::Encoding::kBinary);

  using Executed = Result<wire::ExecuteResult>;
  // All at once, on one connection; the results in the order of the requests.
  [[nodiscard]] std::vector<Executed> execute_all(const std::vector<wire::ExecuteRequest>& requests,
                                                  Duration patience = std::chrono::seconds(20));
  [[nodiscard]] Executed execute(const wire::ExecuteRequest& request,
                                 Duration patience = std::chrono::seconds(20));
  // The same work in an interactive transaction: begin, each statement, commit. What fails first is the answer.
  [[nodiscard]] Executed converse(const wire::ExecuteRequest& request,
                                  Duration patience = std::chrono::seconds(20));
  [[nodiscard]] Result<wire::StatusReply> status(const wire::StatusRequest& request,
                                                 Duration patience = std::chrono::seconds(20));
  [[nodiscard]] Result<wire::StatusReply> status_of(const std::string& transaction_id);
  // Settles and bars the request in all of these resources.
  [[nodiscard]] Result<wire::StatusReply> bar(const std::string& request_id,
                                              std::vector<std::string> resources);
  [[nodiscard]] Result<wire::ClusterStatus> cluster_status();
  [[nodiscard]] Result<wire::InDoubtReport> in_doubt();

  // A call whose answer is waited for later, by finish().
  void begin(const wire::ExecuteRequest& request, Duration patience = std::chrono::seconds(20));
  // Lets the channel work until everything begun is answered; the answers in the order of beginning.
  [[nodiscard]] std::vector<Executed> finish();
  // Lets the channel work for a moment: what was begun leaves.
  void send();

 private:
  template <typename Method, typename Reply>
  [[nodiscard]] Result<Reply> ask(const auto& request, Duration patience);
  void run_until(const std::function<bool()>& finished);

  asio::io_context loop_{1};
  rpc::Channel channel_;
  std::deque<std::optional<Executed>> begun_;
};

}  // namespace troth
