// participant_agent/ownership.h
//
// Who may run branches in one resource: exactly one start of one agent.
//
//   looking --> claiming --> writing the row --> owning --> clearing sessions --> serving
//      ^ \-- stopped: another's, another server, set back, read-only, unusable       |
//      '------------------------------- connection lost -----------------------------'
//
// Start: `claiming(n, nonce)` is durable, then the row is compared and set, then `owns` is durable, then
// every other session of the role is ended, whatever its name, and only then anything is served (attacks 2,
// 30, 45, 52).
//   - A row equal to either journal entry is mine, so a crash between the steps is no obstacle.
//   - A row of this agent below the last `owns` shows a server that was set back.
//   - A row of this agent that its journal does not know shows a journal that was set back: with the take-over the row's start
//     is journalled as known, and the process starts anew, above it.
//   - An empty journal, or another agent's row, needs the operator's take-over; so does a server that was set
//     back. The take-over raises the row, then ends the old sessions, then serves, in the running agent.
// While serving, a counter in the row rises every second; it shows a set-back server (attack 46), and a row
// that is another's by now stops this agent: the loser alone stops. The row is read without a lock, or a
// prepared branch would keep the next owner out.
//
// Durability: TakeOverUsed and Claiming before the row, Owns before serving, CounterRaised behind the row's counter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "participant_agent/journal_replay.h"
#include "participant_agent/resource_health.h"
#include "participant_agent/server_identity.h"

namespace troth::agent {

// -- Inputs -------------------------------------------------------------------------------------------------

// A connection to the server stands (again).
struct Connected {};
struct ServerRead {
  ServerRow row;
};
// It could not be read: not installed, refused, connection lost.
struct ServerUnread {
  Error error;
};
// Every record up to this ticket is on disk.
struct OwnershipDurable {
  JournalTicket through;
};
// The compare-and-set of ClaimRow or RaiseCounter came back; nullopt: connection lost, unknown.
struct RowChanged {
  std::optional<bool> won;
};
// Every other session of the role, this agent's own new ones not counted.
struct SessionsListed {
  std::vector<ConnectionId> others;
};
struct Disconnected {
  std::string reason;
};
struct TakeOverAllowed {};
// The coordinators have registered it as this agent's.
struct Registered {};
struct OwnershipTicked {};

using OwnershipInput =
    std::variant<Connected, ServerRead, ServerUnread, OwnershipDurable, RowChanged, SessionsListed,
                 Disconnected, TakeOverAllowed, Registered, OwnershipTicked>;

// -- Effects ------------------------------------------------------------------------------------------------

// Connect, or connect anew; report Connected or Disconnected.
struct Connect {
  bool operator==(const Connect&) const = default;
};
struct ReadServer {
  std::string known_gtid;
  bool operator==(const ReadServer&) const = default;
};
struct ClaimRow {
  OwnerRow expected;
  OwnerRow claimed;
  bool operator==(const ClaimRow&) const = default;
};
struct RaiseCounter {
  OwnerRow mine;
  std::uint64_t counter = 0;
  bool operator==(const RaiseCounter&) const = default;
};
struct ListSessions {
  bool operator==(const ListSessions&) const = default;
};
struct EndSessions {
  std::vector<ConnectionId> sessions;
  bool operator==(const EndSessions&) const = default;
};
struct Serve {
  OwnerRow mine;
  bool operator==(const Serve&) const = default;
};
// An operator lets a server be used that was set back, or another's since this journal wrote of it: for the branches that
// began before, neither a floor nor an idle session tells anything about it any more [T5].
struct AcceptSetBack {
  bool operator==(const AcceptSetBack&) const = default;
};
// This agent's journal lacks starts of its own, and this one's number may have been used before [T12]: the process ends, and
// the next start's is above them all. It needs no other leave.
struct StartAnew {
  Error reason;
  bool operator==(const StartAnew&) const = default;
};
// Take no more work for this resource.
struct Stop {
  Error reason;
  bool operator==(const Stop&) const = default;
};

using OwnershipEffect = std::variant<Connect, ReadServer, ClaimRow, RaiseCounter, ListSessions, EndSessions,
                                     Serve, AcceptSetBack, StartAnew, Stop, AppendJournal>;

struct OwnershipOptions {
  ResourceName resource;
  AgentId agent;
  Incarnation incarnation;  // of this start: JournalState::next_incarnation()
  Nonce nonce;              // of this start
  bool take_over = false;   // the operator said so, by configuration or by `troth resource take-over`
  Duration counter_interval = std::chrono::seconds(1);
  Duration session_poll = std::chrono::milliseconds(100);
  Duration retry = std::chrono::seconds(1);
};

class Ownership {
 public:
  Ownership(OwnershipOptions options, OwnershipMemory memory);

  [[nodiscard]] std::vector<OwnershipEffect> start();
  [[nodiscard]] std::vector<OwnershipEffect> step(const OwnershipInput& input, Instant now,
                                                  JournalSequence& journal);

  [[nodiscard]] bool serves() const { return std::holds_alternative<Serving>(state_); }
  // An operator let this agent take it, and the coordinators are to be told: not before it serves, for until
  // then the row may still be another's.
  [[nodiscard]] bool tells_take_over() const { return serves() && memory_.take_over_untold; }
  [[nodiscard]] std::optional<Instant> wakes_at() const;
  // What the server is compared with before a barrier proves anything.
  [[nodiscard]] const OwnershipMemory& memory() const { return memory_; }
  [[nodiscard]] ResourceHealth health() const;
  [[nodiscard]] std::vector<JournalRecord> checkpoint() const;

 private:
  struct Connecting {
    std::optional<Instant> again_at;
  };
  struct Looking {};
  struct JournallingClaim {
    JournalTicket ticket;
    OwnerRow expected;
    OwnerRow claimed;
    ServerRow server;
  };
  struct WritingRow {
    OwnerRow claimed;
    ServerRow server;
  };
  struct JournallingAnew {
    JournalTicket ticket;
    std::uint64_t above = 0;
    bool told = false;
  };
  struct JournallingOwns {
    JournalTicket ticket;
  };
  struct Clearing {
    std::optional<Instant> lists_at;  // nullopt: a list is awaited
  };
  struct Serving {
    Instant raises_at;
    std::optional<std::uint64_t> raising;
  };
  // Only an operator, or for some reasons time, gets it going again.
  struct Stopped {
    std::optional<Instant> looks_at;
  };
  using State = std::variant<Connecting, Looking, JournallingClaim, WritingRow, JournallingAnew,
                             JournallingOwns, Clearing, Serving, Stopped>;
  struct Context {
    Instant now;
    JournalSequence& journal;
    std::vector<OwnershipEffect> effects;
  };

  void on(const Connected& input, Context& context);
  void on(const ServerRead& input, Context& context);
  void on(const ServerUnread& input, Context& context);
  void on(const OwnershipDurable& input, Context& context);
  void on(const RowChanged& input, Context& context);
  void on(const SessionsListed& input, Context& context);
  void on(const Disconnected& input, Context& context);
  void on(const TakeOverAllowed& input, Context& context);
  void on(const Registered& input, Context& context);
  void on(const OwnershipTicked& input, Context& context);

  void look(Context& context);
  void accept_set_back(Context& context);
  void use_take_over(Context& context);
  void start_anew(const OwnerRow& row, Context& context);
  // nullopt: the row may be claimed, or is mine already.
  [[nodiscard]] std::optional<Error> judge_row(const OwnerRow& row) const;
  void claim(const ServerRow& server, Context& context);
  void own(const OwnerRow& row, const ServerRow& server, Context& context);
  void counter_came_back(std::optional<bool> won, Serving& serving, Context& context);
  void stop(Error reason, std::optional<Duration> look_again, Context& context);
  [[nodiscard]] Error told(Error reason) const;
  JournalTicket append(JournalRecord record, Context& context);

  OwnershipOptions options_;
  OwnershipMemory memory_;
  std::optional<OwnerRow> mine_;  // written by this start
  bool cleared_ = false;          // since then every other session of the role was seen gone
  State state_;
  std::optional<Error> stopped_;
};

}  // namespace troth::agent
