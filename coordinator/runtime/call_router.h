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
#include <string>
#include <string_view>

#include <asio/steady_timer.hpp>

#include "base/result.h"
#include "base/runtime/lifetime.h"
#include "base/time.h"
#include "coordinator/runtime/replica.h"
#include "thrift/runtime/diverted_call.h"
#include "thrift/runtime/server.h"

namespace troth::coordinator {

class CallRouter {
 public:
  enum class Here : std::uint8_t {
    kNothing,  // no reign
    kRunning,  // a reign that finishes what runs: whatever begins waits for the next one
    kEverything
  };
  // `longest_call`: no call is answered later than that.
  CallRouter(asio::io_context& loop, Replica& replica, std::function<Here()> serves_here, Duration patience,
             Duration longest_call);
  ~CallRouter();
  CallRouter(const CallRouter&) = delete;
  CallRouter& operator=(const CallRouter&) = delete;

  // For rpc::Divert.
  [[nodiscard]] bool wants(const rpc::CallContext& call, rpc::Bytes content) const;
  void take(std::unique_ptr<rpc::DivertedCall> call);

  // The same of a call that another replica passed on.
  [[nodiscard]] bool serves_here(std::string_view method) const;

  // Who leads, or who can be reached, has changed.
  void look_again();
  // Nobody will lead as far as this coordinator can see: it stops.
  void refuse_waiting(std::string_view why);

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] std::size_t passed_on() const { return passed_.size(); }

 private:
  struct Waiting {
    std::unique_ptr<rpc::DivertedCall> call;
    Instant until;
    std::string why;         // it was not taken the last time
    std::uint32_t lost = 0;  // leaders that were lost with it
  };
  struct Passed {
    Waiting waiting;
    consensus::ReplicaId to;
    std::optional<Instant> lost;  // since when another one leads, or nobody
  };

  void route(Waiting waiting);
  void route_waiting(bool somebody);
  void pass_on(Waiting waiting, PeerLink& link);
  void answered(std::uint64_t number, Result<wire::PassedAnswer> answer);
  void fate_unknown(Passed passed, const Error& why);
  void note_lost_leader();
  void wait(Waiting waiting);
  static void refuse(const Waiting& waiting, std::string_view why);
  void watch();
  void time_passed();

  Replica& replica_;
  std::function<Here()> serves_here_;
  const Duration patience_;
  const Duration longest_call_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, Waiting> waiting_;  // the oldest first
  std::map<std::uint64_t, Passed> passed_;
  asio::steady_timer timer_;
  bool watching_ = false;
  Lifetime lifetime_;
};

}  // namespace troth::coordinator
