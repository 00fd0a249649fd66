// coordinator/runtime/call_router.h
//
// Where a client's call is served, in a group: here, while this coordinator leads; else by the leader, to whom it is passed
// on in its client's name. While there is none to be reached it waits, for settings.group.patience at most, and is refused
// then.
//
//   here <--leads-- new --leader known--> passed on --answer--> its client
//                    |  '--nobody--> waiting --somebody leads--^    |
//                    |                  '--patience over--> refused |
//                    '<-------- known to be served by nobody -------'
//
// A call whose fate is unknown, because the leader or the way to it was lost, is passed on again only where it cannot be
// carried out twice: it asks only, or has a request_id. Its client hears `unknown` else.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <asio/steady_timer.hpp>

#include "base/result.h"
#include "base/time.h"
#include "coordinator/runtime/replica.h"
#include "thrift/runtime/diverted_call.h"
#include "thrift/runtime/server.h"

namespace troth::coordinator {

class CallRouter {
 public:
  // `serves_here`: a reign serves, and takes new calls. `longest_call`: no call is answered later than that.
  CallRouter(asio::io_context& loop, Replica& replica, std::function<bool()> serves_here, Duration patience,
             Duration longest_call);
  ~CallRouter();
  CallRouter(const CallRouter&) = delete;
  CallRouter& operator=(const CallRouter&) = delete;

  // For rpc::Divert.
  [[nodiscard]] bool wants(const rpc::CallContext& call, rpc::Bytes content) const;
  void take(std::unique_ptr<rpc::DivertedCall> call);

  // Who leads, or who can be reached, has changed.
  void look_again();
  // Nobody will lead as far as this coordinator can see: it stops.
  void refuse_waiting(const char* why);

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::size_t passed_on() const { return passed_.size(); }

 private:
  struct Waiting {
    std::unique_ptr<rpc::DivertedCall> call;
    Instant until;
  };
  struct Passed {
    std::unique_ptr<rpc::DivertedCall> call;
    consensus::ReplicaId to;
    Instant until;                // as while it waited
    std::optional<Instant> lost;  // since when another one leads, or nobody
  };

  void route(Waiting waiting);
  void pass_on(Waiting waiting, PeerLink& link);
  void answered(std::uint64_t number, Result<wire::PassedAnswer> answer);
  void fate_unknown(Passed passed, const Error& why);
  void note_lost_leader();
  void refuse(Waiting waiting, const char* why);
  void watch();
  void time_passed();

  asio::io_context& loop_;
  Replica& replica_;
  std::function<bool()> serves_here_;
  const Duration patience_;
  const Duration longest_call_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, Waiting> waiting_;  // the oldest first
  std::map<std::uint64_t, Passed> passed_;
  asio::steady_timer timer_;
  bool watching_ = false;
};

}  // namespace troth::coordinator
