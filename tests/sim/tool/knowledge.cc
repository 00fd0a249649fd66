#include "tests/sim/tool/knowledge.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/sim/invariants/run_end.h"

namespace troth::sim {
namespace {

constexpr std::size_t kMostTransfers = 8;

std::string or_nothing(const std::set<std::string>& names) {
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, " "));
}

class Knowledge {
 public:
  explicit Knowledge(const Simulation& simulation) : simulation_(simulation) {}

  std::vector<std::string> of(const std::vector<std::string>& broken) {
    std::vector<const Transfer*> concerned;
    for (const auto& [key, transfer] : simulation_.ledger().transfers())
      if (is_named(transfer, broken)) concerned.push_back(&transfer);
    const bool none_is_named = concerned.empty();
    for (const auto& [key, transfer] : simulation_.ledger().transfers())
      if (none_is_named && !transfer.over) concerned.push_back(&transfer);
    for (const auto* transfer : concerned) {
      if (lines_.size() >= kMostTransfers * 5) {
        lines_.push_back(fmt::format("and more: {} transfers are concerned", concerned.size()));
        break;
      }
      tell(*transfer);
    }
    tell_nodes();
    return std::move(lines_);
  }

 private:
  // Under which ids it was ever known.
  [[nodiscard]] std::set<std::string> transactions_of(const Transfer& transfer) const {
    auto all = transfer.told_committed;
    all.insert(transfer.told_not_committed.begin(), transfer.told_not_committed.end());
    if (const auto found = simulation_.committed().find(transfer.key); found != simulation_.committed().end())
      for (const auto& [transaction, databases] : found->second)
        all.insert(transaction);
    return all;
  }

  [[nodiscard]] bool is_named(const Transfer& transfer, const std::vector<std::string>& broken) const {
    auto names = transactions_of(transfer);
    names.insert(transfer.key.id.text());
    return std::ranges::any_of(broken, [&](const auto& text) {
      return std::ranges::any_of(names, [&](const auto& name) {
        const auto at = text.find(name);
        return at != std::string::npos &&
               (at + name.size() == text.size() ||
                std::isdigit(static_cast<unsigned char>(text[at + name.size()])) == 0);
      });
    });
  }

  [[nodiscard]] std::string name_of(std::size_t database) const {
    return simulation_.databases()[database]->name();
  }

  void tell(const Transfer& transfer) {
    std::vector<std::string> postings;
    postings.reserve(transfer.postings.size());
    for (const auto& posting : transfer.postings)
      postings.push_back(fmt::format("{:+} to account {} of {}", posting.amount, posting.account,
                                     name_of(posting.database)));
    lines_.push_back(fmt::format("request {} of {}: {}", transfer.key.id.text(), transfer.key.client,
                                 fmt::join(postings, ", ")));
    lines_.push_back(fmt::format("  its client was told: committed {}, not committed {}{}; it {}",
                                 or_nothing(transfer.told_committed), or_nothing(transfer.told_not_committed),
                                 transfer.told_barred ? ", barred" : "",
                                 transfer.over ? "asks nothing more" : "still asks"));
    std::vector<std::string> reached;
    for (const auto& transaction : transactions_of(transfer))
      for (const auto database : simulation_.run_end().in_doubt(transaction))
        reached.push_back(fmt::format("{} is prepared in {}", transaction, name_of(database)));
    if (const auto found = simulation_.committed().find(transfer.key); found != simulation_.committed().end())
      for (const auto& [transaction, databases] : found->second)
        for (const auto database : databases)
          reached.push_back(fmt::format("{} has committed in {}", transaction, name_of(database)));
    lines_.push_back(fmt::format("  the databases say: {}",
                                 reached.empty() ? "nothing" : fmt::format("{}", fmt::join(reached, ", "))));
  }

  void tell_nodes() {
    for (const auto& database : simulation_.databases()) {
      std::vector<std::string> prepared;
      prepared.reserve(database->server().prepared().size());
      for (const auto& branch : database->server().prepared())
        prepared.push_back(branch.transaction.text());
      std::vector<std::string> accounts;
      for (const auto& [account, balance] : database->server().accounts())
        accounts.push_back(fmt::format("{}: {}", account, balance));
      lines_.push_back(fmt::format("{}{}: prepared {}; accounts {}", database->name(),
                                   database->server().is_up() ? "" : " (down)",
                                   prepared.empty() ? "nothing" : fmt::format("{}", fmt::join(prepared, " ")),
                                   fmt::join(accounts, ", ")));
    }
  }

  const Simulation& simulation_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> what_is_known(const Simulation& simulation, const std::vector<std::string>& broken) {
  return Knowledge(simulation).of(broken);
}

}  // namespace troth::sim
