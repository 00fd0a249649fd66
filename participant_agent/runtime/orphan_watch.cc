#include "participant_agent/runtime/orphan_watch.h"

#include <memory>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "base/runtime/log.h"

namespace troth::agent {
namespace {

constexpr Duration kRetry = std::chrono::seconds(1);
// For the group's answers; a branch that was not answered for is asked about by the branch table.
constexpr Duration kPatience = std::chrono::seconds(30);

}  // namespace

OrphanWatch::OrphanWatch(asio::io_context& loop, ResourceName resource, ClusterId cluster, Duration interval,
                         Owner owner)
    : loop_(loop),
      resource_(std::move(resource)),
      cluster_(std::move(cluster)),
      interval_(interval),
      owner_(std::move(owner)),
      timer_(loop),
      patience_(loop) {}

void OrphanWatch::begin() {
  timer_.cancel();
  patience_.cancel();
  ++number_;
  survey_.emplace(cluster_);
  carry_out(survey_->start());
}

void OrphanWatch::stop() {
  timer_.cancel();
  patience_.cancel();
  ++number_;
  survey_.reset();
}

void OrphanWatch::take(std::uint64_t survey, const OrphanInput& input) {
  if (survey == number_ && survey_) carry_out(survey_->step(input));
}

void OrphanWatch::carry_out(const std::vector<OrphanEffect>& effects) {
  for (const auto& effect : effects) {
    if (std::holds_alternative<ListPrepared>(effect)) {
      list();
    } else if (std::holds_alternative<ListActive>(effect)) {
      asio::post(loop_, [this, survey = number_] { take(survey, ActiveListed{owner_.live_branches()}); });
    } else if (const auto* question = std::get_if<AskDecisions>(&effect)) {
      ask(question->branches);
    } else if (const auto* orphan = std::get_if<AdoptOrphan>(&effect)) {
      log_warning("orphaned branch found", {{"resource", resource_},
                                            {"transaction", orphan->branch.transaction.text()},
                                            {"branch", orphan->branch.branch}});
      owner_.found(orphan->branch);
    } else if (const auto* report = std::get_if<ReportSurvey>(&effect)) {
      if (*report != last_ && report->strangers + report->other_clusters > 0) {
        log_info("prepared transactions that are not this cluster's",
                 {{"resource", resource_},
                  {"strangers", report->strangers},
                  {"other_clusters", report->other_clusters}});
      }
      last_ = *report;
      again_after(interval_);
    }
  }
}

void OrphanWatch::list() {
  owner_.list_prepared([this, survey = number_](Result<PreparedList> list) {
    if (survey != number_) return;
    if (list) return take(survey, PreparedListed{std::move(list->branches), list->strangers});
    again_after(kRetry);
  });
}

void OrphanWatch::again_after(Duration pause) {
  timer_.expires_after(pause);
  timer_.async_wait([this](const asio::error_code& stopped) {
    if (!stopped && owner_.serves()) begin();
  });
}

void OrphanWatch::ask(const std::vector<BranchId>& branches) {
  const auto answers = std::make_shared<DecisionsListed>();
  const auto finish = [this, survey = number_, answers] { take(survey, *answers); };
  for (const auto& branch : branches) {
    owner_.ask_decision(branch, [this, survey = number_, answers, branch, wanted = branches.size(),
                                 finish](GroupDecision decision) {
      if (survey != number_) return;
      answers->decisions[branch] = decision;
      if (answers->decisions.size() == wanted) finish();
    });
  }
  patience_.expires_after(kPatience);
  patience_.async_wait([finish](const asio::error_code& stopped) {
    if (!stopped) finish();
  });
}

}  // namespace troth::agent
