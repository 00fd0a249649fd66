#include "tests/unit/consensus/consensus_words.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/unit/coordinator/script_words.h"

namespace troth::coordinator::consensus {
namespace {

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

std::string text(const Ballot& ballot) {
  return fmt::format("{}.{}", ballot.round, ballot.leader.value);
}

std::string text(const Entry& entry) {
  if (const auto* command = std::get_if<Command>(&entry)) return *command->bytes;
  const auto* change = std::get_if<ChangeConfiguration>(&entry);
  if (change == nullptr) return "no-op";
  std::string voters;
  for (const auto voter : change->next.voters)
    voters += fmt::format("{}{}", voters.empty() ? "" : "+", voter.value);
  auto words = "voters=" + voters;
  if (change->next.lease_terms != LeaseTerms{})
    words += fmt::format("/lease={}ms", change->next.lease_terms.length / std::chrono::milliseconds(1));
  return words;
}

std::string text(const std::vector<Entry>& entries) {
  std::string all;
  for (const auto& entry : entries)
    all += " " + text(entry);
  return all;
}

std::string text(const std::vector<Accepted>& accepted) {
  std::string all;
  for (const auto& each : accepted)
    all += fmt::format(", accepted {} in {} {}", each.slot.value, text(each.ballot), text(each.entry));
  return all;
}

// Of a promise or an answer that is not whole.
std::string part(const auto& message) {
  return (message.above.value == 0 ? "" : fmt::format(" above {}", message.above.value)) +
         (message.through ? fmt::format(" through {}", message.through->value) : "");
}

std::string granted(const std::optional<LeaseTerms>& terms) {
  if (!terms) return "";
  if (*terms == LeaseTerms{}) return " granted";
  return fmt::format(" granted for {}ms", terms->length / std::chrono::milliseconds(1));
}

std::string text(const Message& message) {
  return std::visit(
      Overloaded{
          [](const PreVote& in) { return fmt::format("pre-vote {}", text(in.ballot)); },
          [](const PreVoteGranted& in) { return fmt::format("pre-vote granted {}", text(in.ballot)); },
          [](const Prepare& in) {
            return fmt::format("prepare {} above {}", text(in.ballot), in.above.value);
          },
          [](const Promise& in) {
            return fmt::format("promise {} chosen {}{}{}", text(in.ballot), in.chosen.value, part(in),
                               text(in.accepted));
          },
          [](const Refused& in) {
            return fmt::format("refused {} promised {}", text(in.ballot), text(in.promised));
          },
          [](const Accept& in) {
            return fmt::format("accept {} from {}:{}, chosen {}", text(in.ballot), in.first.value,
                               text(in.entries), in.chosen.value);
          },
          [](const AcceptedThrough& in) {
            return fmt::format("accepted {} {} to {}", text(in.ballot), in.first.value, in.last.value);
          },
          [](const Heartbeat& in) {
            return fmt::format("heartbeat {} number {} chosen {}", text(in.ballot), in.number.value,
                               in.chosen.value);
          },
          [](const HeartbeatSeen& in) {
            return fmt::format("seen {} number {} chosen {}{}", text(in.ballot), in.number.value,
                               in.chosen.value, granted(in.granted));
          },
          [](const Fetch& in) { return fmt::format("fetch above {}", in.above.value); },
          [](const ChosenEntries& in) {
            return fmt::format("chosen from {}:{}, of {}", in.first.value, text(in.entries), in.chosen.value);
          },
          [](const Release& in) {
            return fmt::format("release {} for {}", text(in.hand_over.ballot), in.hand_over.successor.value);
          },
          [](const TakeOver& in) {
            return fmt::format("take over {} chosen {}", text(in.ballot), in.chosen.value);
          },
          [](const AskStanding& in) {
            return fmt::format("ask standing{}{}{}", in.everything ? " with everything" : "",
                               in.above.value == 0 ? "" : fmt::format(" above {}", in.above.value),
                               in.fence.is_none() ? "" : " fence " + text(in.fence));
          },
          [](const StandingShown& in) {
            return fmt::format("standing known {}.{} promised {} chosen {}{}{}", in.known.start,
                               in.known.write.value, text(in.promised), in.chosen.value, part(in),
                               text(in.accepted));
          },
          [](const AskHighest& in) {
            return fmt::format(
                "ask highest {}{}", in.number.value,
                in.waits_for.value > 0 ? fmt::format(" waits for {}", in.waits_for.value) : "");
          },
          [](const HighestShown& in) {
            return fmt::format("highest {} is {} chosen {}", in.number.value, in.highest.value,
                               in.chosen.value);
          },
      },
      message);
}

std::string text(const DurableRecord& record) {
  return std::visit(
      Overloaded{
          [](const Promised& in) { return fmt::format("promised {}", text(in.ballot)); },
          [](const Accepted& in) {
            return fmt::format("accepted {} in {} {}", in.slot.value, text(in.ballot), text(in.entry));
          },
          [](const Learned& in) { return fmt::format("learned {} {}", in.slot.value, text(in.entry)); },
          [](const ChosenThrough& in) { return fmt::format("chosen through {}", in.slot.value); },
          [](const ConfiguredFrom& in) { return fmt::format("configured from {}", in.slot.value); },
          [](const StandingAsked& in) {
            return fmt::format("asks with {}.{}", in.position.start, in.position.write.value);
          },
          [](const Started& in) { return fmt::format("started {}", in.start); },
          [](const PositionsKnown&) { return std::string("positions"); },
          [](const WaitsAfterStart& in) { return fmt::format("waits {}us after a start", in.wait.count()); },
      },
      record);
}

Entry read_entry(const std::string& word) {
  if (word == "no-op") return NoOp{};
  if (!word.starts_with("voters=")) return Command{std::make_shared<const std::string>(word)};
  Replicas voters;
  const auto lease = word.find("/lease=");
  for (std::size_t from = 7; from < std::min(lease, word.size()); from += 2)
    voters.insert({static_cast<std::uint32_t>(word[from] - '0')});
  auto next = with_majorities(voters);
  if (lease != std::string::npos)
    next.lease_terms.length = std::chrono::milliseconds(std::stoll(word.substr(lease + 7)));
  return ChangeConfiguration{next};
}

void expect(Words& words, const std::string& phrase) {
  if (!words.accept(phrase))
    throw std::invalid_argument("expected '" + phrase + "' before '" + words.peek() + "'");
}

Slot read_slot(Words& words, const std::string& phrase) {
  expect(words, phrase);
  return {words.number()};
}

std::vector<Accepted> read_accepted(Words& words) {
  std::vector<Accepted> all;
  while (words.accept("accepted")) {
    Accepted accepted;
    accepted.slot = {words.number()};
    expect(words, "in");
    accepted.ballot = read_ballot(words.next());
    accepted.entry = read_entry(words.next());
    all.push_back(std::move(accepted));
  }
  return all;
}

void read_part(Words& words, auto& message) {
  if (words.accept("above")) message.above = {words.number()};
  if (words.accept("through")) message.through = Slot{words.number()};
}

std::vector<Entry> read_entries(Words& words, const std::string& until) {
  std::vector<Entry> entries;
  while (words.peek() != until)
    entries.push_back(read_entry(words.next()));
  return entries;
}

}  // namespace

Ballot read_ballot(const std::string& text) {
  const auto dot = text.find('.');
  return {std::stoull(text.substr(0, dot)), {static_cast<std::uint32_t>(std::stoul(text.substr(dot + 1)))}};
}

Message read_message(Words& words) {
  if (words.accept("pre-vote granted")) return PreVoteGranted{read_ballot(words.next())};
  if (words.accept("pre-vote")) return PreVote{read_ballot(words.next())};
  if (words.accept("prepare")) {
    const auto ballot = read_ballot(words.next());
    return Prepare{.ballot = ballot, .above = read_slot(words, "above")};
  }
  if (words.accept("promise")) {
    Promise promise{.ballot = read_ballot(words.next()),
                    .chosen = read_slot(words, "chosen"),
                    .accepted = {},
                    .position = {}};
    read_part(words, promise);
    promise.accepted = read_accepted(words);
    return promise;
  }
  if (words.accept("refused")) {
    const auto ballot = read_ballot(words.next());
    expect(words, "promised");
    return Refused{.ballot = ballot, .promised = read_ballot(words.next()), .leader = {}};
  }
  if (words.accept("accepted")) {
    const auto ballot = read_ballot(words.next());
    const Slot first{words.number()};
    return AcceptedThrough{.ballot = ballot, .first = first, .last = read_slot(words, "to"), .position = {}};
  }
  if (words.accept("accept")) {
    const auto ballot = read_ballot(words.next());
    const auto first = read_slot(words, "from");
    auto entries = read_entries(words, "chosen");
    return Accept{.ballot = ballot,
                  .first = first,
                  .entries = std::move(entries),
                  .chosen = read_slot(words, "chosen")};
  }
  if (words.accept("heartbeat")) {
    const auto ballot = read_ballot(words.next());
    const auto number = read_slot(words, "number").value;
    return Heartbeat{
        .ballot = ballot, .number = {number}, .chosen = read_slot(words, "chosen"), .positions = {}};
  }
  if (words.accept("seen")) {
    HeartbeatSeen seen{.ballot = read_ballot(words.next()), .number = {read_slot(words, "number").value}};
    seen.chosen = read_slot(words, "chosen");
    if (words.accept("granted")) seen.granted = LeaseTerms{};
    if (seen.granted && words.accept("for")) seen.granted->length = read_duration(words.next());
    return seen;
  }
  if (words.accept("fetch")) return Fetch{read_slot(words, "above")};
  if (words.accept("chosen")) {
    const auto first = read_slot(words, "from");
    auto entries = read_entries(words, "of");
    return ChosenEntries{.first = first, .entries = std::move(entries), .chosen = read_slot(words, "of")};
  }
  if (words.accept("release")) {
    const auto ballot = read_ballot(words.next());
    return Release{{ballot, {static_cast<std::uint32_t>(read_slot(words, "for").value)}}};
  }
  if (words.accept("take over")) {
    const auto ballot = read_ballot(words.next());
    return TakeOver{.ballot = ballot, .chosen = read_slot(words, "chosen")};
  }
  if (words.accept("ask standing")) {
    AskStanding asked{.everything = words.accept("with everything")};
    if (words.accept("above")) asked.above = {words.number()};
    if (words.accept("fence")) asked.fence = read_ballot(words.next());
    return asked;
  }
  if (words.accept("standing")) {
    expect(words, "known");
    const auto known = read_ballot(words.next());
    expect(words, "promised");
    StandingShown shown{.known = {known.round, {known.leader.value}},
                        .promised = read_ballot(words.next()),
                        .chosen = read_slot(words, "chosen"),
                        .accepted = {}};
    read_part(words, shown);
    shown.accepted = read_accepted(words);
    return shown;
  }
  if (words.accept("ask highest")) {
    AskHighest asked{{words.number()}, {}};
    if (words.accept("waits for")) asked.waits_for = {words.number()};
    return asked;
  }
  expect(words, "highest");
  const ReadNumber number{words.number()};
  const auto highest = read_slot(words, "is");
  return HighestShown{.number = number, .highest = highest, .chosen = read_slot(words, "chosen")};
}

std::string write(const ReplicaEffect& effect) {
  return std::visit(
      Overloaded{
          [](const Append& in) { return fmt::format("write {}: {}", in.number.value, text(in.record)); },
          [](const Send& in) {
            return fmt::format(
                "to {}: {}{}", in.to.value, text(in.message),
                in.after.value == 0 ? "" : fmt::format("; when {} is written", in.after.value));
          },
          [](const Deliver& in) { return fmt::format("deliver {}: {}", in.slot.value, text(in.entry)); },
          [](const Lead& in) { return fmt::format("lead in {}", text(in.ballot)); },
          [](const StopLeading& in) {
            return fmt::format("stop leading in {}: {}", text(in.ballot), in.reason);
          },
          [](const ShowLeader& in) {
            return in.leader ? fmt::format("the leader is {}", in.leader->value)
                             : std::string("no leader is known");
          },
          [](const SendSnapshot& in) { return fmt::format("send a snapshot to {}", in.to.value); },
          [](const ReadAt& in) { return fmt::format("read {} at {}", in.ticket.value, in.slot.value); },
          [](const RefuseRead& in) {
            return fmt::format("refuse read {}{}", in.ticket.value,
                               in.reason == ReadRefusal::kLate               ? ": late"
                               : in.reason == ReadRefusal::kOtherIncarnation ? ": another group's"
                                                                             : "");
          },
          [](const SettleCutTail&) { return std::string("settle the cut tail"); },
      },
      effect);
}

}  // namespace troth::coordinator::consensus
