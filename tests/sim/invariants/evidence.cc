#include "tests/sim/invariants/evidence.h"

#include <algorithm>
#include <utility>

namespace troth::sim {
namespace {

using namespace coordinator::store;
using agent::BranchEnd;

template <typename... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};

template <typename Map>
const typename Map::mapped_type& at_or_none(const Map& map, const typename Map::key_type& key) {
  static const typename Map::mapped_type none{};
  const auto found = map.find(key);
  return found == map.end() ? none : found->second;
}

}  // namespace

DatabaseNumber database_of(const ResourceName& resource) {
  return {static_cast<std::size_t>(resource.value.back() - '1')};
}

std::optional<TransactionId> transaction_of(const agent::MarkerRow& row) {
  auto id = TransactionId::parse(row.transaction);
  if (!id) return std::nullopt;
  return *std::move(id);
}

std::set<std::size_t> Evidence::Truth::ended_otherwise(const std::set<std::size_t>& reached) const {
  std::set<std::size_t> by_hand;
  std::set<std::size_t> missing;
  for (const auto& [database, commit] : resolved)
    (commit ? by_hand : missing).insert(database.value);
  for (const auto database : lost)
    missing.insert(database.value);
  const bool is_committed = decided || std::ranges::any_of(reached, [&](std::size_t database) {
                              return !by_hand.contains(database);
                            });
  auto& otherwise = is_committed ? missing : by_hand;
  std::erase_if(otherwise, [&](std::size_t database) { return reached.contains(database) == is_committed; });
  return otherwise;
}

const Evidence::Truth& Evidence::truth(const TransactionId& transaction) const {
  return at_or_none(truths, transaction);
}

const Evidence::Journal& Evidence::journal(const std::string& agent) const {
  return at_or_none(journals, agent);
}

std::optional<DatabaseNumber> Evidence::database(ResourceNumber number) const {
  const auto found = store.resources.find(number);
  if (found == store.resources.end()) return std::nullopt;
  return database_of(found->second);
}

void Evidence::note_store(const LogRecord& record, bool durable) {
  std::visit(Overloaded{
                 [&](const CommitRecord& commit) {
                   auto& decision = store.commits[commit.transaction];
                   decision.record = commit;
                   decision.durable |= durable;
                   if (durable) note_decided(commit);
                 },
                 [&](const EndedRecord& ended) {
                   if (durable) store.ended.insert(ended.transaction);
                 },
                 [&](const coordinator::store::Floors& floors) {
                   store.floors.transactions = std::max(store.floors.transactions, floors.transactions);
                   store.floors.request_ms = std::max(store.floors.request_ms, floors.request_ms);
                 },
                 [&](const ResourceRecord& resource) { store.resources[resource.number] = resource.name; },
                 [&](const EpochRecord& epoch) { store.epoch = epoch.epoch; },
                 [](const PreCommitRecord&) {},
                 [](const AbortRecord&) {},
                 [&](const BarredRecord& bar) { store.barred.insert(bar.request); },
                 [&](const ResolutionRecord& resolution) {
                   if (durable) store.resolutions.insert({resolution.transaction, resolution.branch});
                 },
             },
             record);
}

void Evidence::note_decided(const CommitRecord& commit) {
  truths[commit.transaction].decided = true;
  if (commit.request) carried[*commit.request].insert(commit.transaction);
}

void Evidence::note_journal(const std::string& agent, const agent::JournalRecord& record) {
  auto& journal = journals[agent];
  if (const auto* seen = std::get_if<agent::EpochSeen>(&record)) {
    journal.epoch = seen->epoch;
  } else if (const auto* learned = std::get_if<agent::DecisionLearned>(&record)) {
    journal.learned.insert(learned->id);
  } else if (const auto* finished = std::get_if<agent::Finished>(&record)) {
    journal.ended[finished->id] = finished->end;
    if (finished->end == BranchEnd::kRolledBack)
      truths[finished->id.transaction].never.insert(database_of(finished->resource));
  }
}

void Evidence::note_set_back(const DatabaseSetBack& restored) {
  const auto& database = restored.database;
  for (auto& [id, truth] : truths) {
    const bool is_there = restored.committed.contains(id) || restored.prepared.contains(id);
    const bool was_there = truth.committed.contains(database) || truth.yes.contains(database);
    if (!restored.committed.contains(id)) truth.committed.erase(database);
    if (was_there && !is_there) truth.lost.insert(database);
    // What it had barred since may be forgotten, too.
    truth.never.erase(database);
    if (truth.is_committed()) continue;
    for (auto& [request, by] : carried)
      by.erase(id);
  }
  std::erase_if(carried, [](const auto& each) { return each.second.empty(); });
  markers[database].clear();
  set_back.insert(database);
  ever_set_back.insert(database);
}

// What it had is found again, or lost, at the next start. Floors and resources were in force, and are not lower for it.
void Evidence::note_store_set_back() {
  store.commits.clear();
  store.owed.clear();
  store.ended.clear();
  store.found_ended.clear();
  store.resolutions.clear();
  store.barred.clear();
  store.reads = false;
  store.was_set_back = true;
}

void Evidence::note_what_the_store_lost() {
  for (auto& [id, truth] : truths) {
    if (!truth.decided || store.commits.contains(id)) continue;
    truth.decided = false;
    truth.decision_lost = true;
    if (truth.is_committed()) continue;
    for (auto& [request, by] : carried)
      by.erase(id);
  }
  std::erase_if(carried, [](const auto& each) { return each.second.empty(); });
  for (const auto& request : std::exchange(barred, {})) {
    if (store.barred.contains(request))
      barred.insert(request);
    else
      bars_lost.insert(request);
  }
}

void Evidence::note(const Happening& happening) {
  std::visit(
      Overloaded{
          [&](const VoteSent& sent) {
            auto& truth = truths[sent.branch.transaction];
            if (sent.vote == agent::Vote::kYes) truth.yes.insert(sent.database);
            // What it speaks of may have been prepared in what was there before.
            if (sent.vote == agent::Vote::kYes && set_back.contains(sent.database))
              truth.lost.insert(sent.database);
            if (sent.vote == agent::Vote::kReadOnly) truth.read_only.insert(sent.database);
            if (sent.nothing_stands) truth.refused.insert(sent.database);
          },
          [&](const AttemptSent& sent) { attempts[sent.request].insert(sent.transaction); },
          [](const CommitCalled&) {},
          [&](const EndSent& sent) {
            if (sent.end == BranchEnd::kCommitted || sent.end == BranchEnd::kHeuristicCommitted)
              truths[sent.branch.transaction].acknowledged.insert(sent.database);
          },
          [&](const SettleSent& sent) {
            if (sent.end == BranchEnd::kRolledBack)
              truths[sent.branch.transaction].refused.insert(sent.database);
          },
          [&](const InquiryAnswered& answered) {
            if (answered.decision == agent::GroupDecision::kAbort)
              truths[answered.branch.transaction].abort_told = true;
          },
          [](const OpenShown&) {},
          [&](const EndedByHand& ended) { ended_by_hand.insert(ended.branch); },
          [](const ResourceGivenUp&) {},
          [&](const OnePhaseRuns& runs) { truths[runs.branch.transaction].ran.insert(runs.database); },
          [](const BarrierAsked&) {},
          [&](const StoreOpens&) {
            for (const auto& [id, decision] : std::exchange(store.commits, {}))
              if (decision.durable) store.owed[id] = decision;
            store.reads = true;
          },
          [&](const StoreSetBack&) { note_store_set_back(); },
          [&](const StoreFound& found) {
            note_store(found.record, false);
            if (const auto* ended = std::get_if<EndedRecord>(&found.record))
              store.found_ended.insert(ended->transaction);
          },
          [&](const StoreAppended& appended) {
            if (std::exchange(store.reads, false)) {
              store.owed.clear();
              store.ended.merge(store.found_ended);
              if (std::exchange(store.was_set_back, false)) note_what_the_store_lost();
              for (auto& [id, decision] : store.commits) {
                decision.durable = true;
                note_decided(decision.record);
              }
            }
            note_store(appended.record, false);
          },
          [&](const StoreDurable& durable) { note_store(durable.record, true); },
          [&](const JournalOpens& opens) {
            auto& journal = journals[opens.agent];
            journal = {.newest = journal.newest};
          },
          [&](const JournalFound& found) { note_journal(found.agent, found.record); },
          [&](const JournalAppended& appended) {
            if (const auto* resolved = std::get_if<agent::Resolved>(&appended.record))
              truths[resolved->id.transaction].resolved[database_of(resolved->resource)] = resolved->commit;
            if (const auto* accepted = std::get_if<agent::SetBackAccepted>(&appended.record))
              set_back.erase(database_of(accepted->resource));
            if (const auto* used = std::get_if<agent::TakeOverUsed>(&appended.record))
              set_back.erase(database_of(used->resource));
          },
          [&](const JournalDurable& durable) {
            note_journal(durable.agent, durable.record);
            auto& journal = journals[durable.agent];
            journal.newest = std::max(journal.newest, journal.epoch);
          },
          [&](const JournalDamaged& damage) {
            journals[damage.agent] = {};
            damaged.insert(damage.agent);
            set_back.clear();  // nobody knows any more what the database was
          },
          [&](const MarkerStands& stands) {
            markers[stands.database][stands.key] = stands.row;
            const auto id = transaction_of(stands.row);
            if (!id) return;
            if (stands.row.state == agent::MarkerState::kCommitted ||
                stands.row.state == agent::MarkerState::kResolved) {
              truths[*id].committed.insert(stands.database);
              if (stands.row.request) carried[*stands.row.request].insert(*id);
            } else if (stands.row.state == agent::MarkerState::kBarred) {
              truths[*id].never.insert(stands.database);
              truths[*id].barriers.insert(stands.database);
            }
          },
          [&](const MarkerGone& gone) { markers[gone.database].erase(gone.key); },
          [&](const DatabaseSetBack& restored) { note_set_back(restored); },
          [&](const ToldCommitted& told) { truths[told.transaction].told_committed.insert(told.request); },
          [](const ToldApplied&) {},
          [&](const ToldNothingStands& told) {
            const auto sent = attempts.find(told.request);
            if (sent == attempts.end()) return;
            for (const auto& id : sent->second)
              truths[id].told_not_committed.insert(told.request);
          },
          [&](const ToldNotCommitted& told) {
            truths[told.transaction].told_not_committed.insert(told.request);
          },
          [&](const ToldBarred& told) { barred.insert(told.request); },
      },
      happening);
}

}  // namespace troth::sim
