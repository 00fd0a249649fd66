// tests/sim/rare_situations.h
//
// Situations that a run is worth something for. A long run that never met one of them proves less than it seems to, and
// fails.
#pragma once

#include <array>
#include <string_view>

namespace troth::sim {

inline constexpr std::array<std::string_view, 56> kRareSituations{
    "a batch was durable and its writer never heard so",
    "a batch was written and not synced",
    "a bit of a journal's last batch was flipped",
    "a bit of a replica's last batch was flipped",
    "a branch in doubt was left to an operator",
    "a call was passed on to the leader",
    "a change of the group was chosen by the next leader",
    "a choose was chosen by the next leader",
    "a client asked about an earlier transaction",
    "a client did not wait for its answer",
    "a database came back as it was earlier",
    "a database's answer was lost",
    "a decision that a restore had lost was found in a resource",
    "a learner was added",
    "a learner was promoted",
    "a learner was promoted before it had learned",
    "a log was cut at its beginning",
    "a log went on in its next segment",
    "a log's last batch was cut",
    "a lost branch was noted by an operator",
    "a new reign was begun by an operator",
    "a power cut met unsynced sectors",
    "a proposal was lost with its leader",
    "a replica came back with an empty disk",
    "a replica came back with an older disk",
    "a replica learned what others had chosen",
    "a replica that was lost, or set back, was removed",
    "a replica was brought up by a snapshot",
    "a replica was lost for good",
    "a request from the future was refused",
    "a request was barred",
    "a request was forgotten on purpose",
    "a request was tried again under another epoch",
    "a resource was taken over that was not owner",
    "a resource was taken over that was set back",
    "a retry met its commit",
    "a session outlived its client",
    "a standby was promoted",
    "a statement was asked for again",
    "a transaction was asked about by its id",
    "a voter was removed",
    "a wall clock jumped back",
    "a wall clock jumped forwards",
    "an agent came back with an empty disk",
    "an agent came back with an older disk",
    "an agent started anew above its own past",
    "an interactive transaction was committed",
    "an interactive transaction was rolled back",
    "an operator was mistaken",
    "decided, and not yet applied everywhere",
    "how a change of the group went was unknown",
    "status told a commit that its caller had not heard of",
    "the coordinator came back with an older disk",
    "the lead was transferred",
    "the lead went to another replica",
    "the leader was removed",
};

}  // namespace troth::sim
