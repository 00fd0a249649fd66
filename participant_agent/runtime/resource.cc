#include "participant_agent/runtime/resource.h"

#include <algorithm>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "base/check.h"
#include "base/runtime/clock.h"
#include "base/runtime/log.h"
#include "participant_agent/runtime/crash_points.h"
#include "participant_agent/server_identity.h"

namespace troth::agent {
namespace {

constexpr Duration kRetry = std::chrono::seconds(1);

SessionPoolOptions pool_options(const ResourceSettings& settings, std::size_t sessions) {
  SessionPoolOptions options;
  options.resource = ResourceName{settings.name};
  options.sessions = sessions;
  options.tied_sessions = settings.tied_sessions;
  options.queue_limit = settings.queue;
  return options;
}

// Sessions that finish branches: as many as may ever be needed at once, within reason.
std::size_t finishing_sessions(const ResourceSettings& settings) {
  return std::clamp<std::size_t>(settings.sessions / 2, 2, 16);
}

OpenConnection tracked(const Resource::Opener& open, const std::shared_ptr<OwnSessions>& own) {
  return [open, own] { return own->open(open); };
}

}  // namespace

Resource::Resource(asio::io_context& loop, Options options, Owner owner)
    : loop_(loop),
      name_(options.ownership.resource),
      options_(std::move(options)),
      owner_(std::move(owner)),
      ownership_(options_.ownership, options_.memory),
      meter_(*options_.metrics, name_),
      alarm_(loop, [this] { step(OwnershipTicked{}); }),
      work_(
          pool_options(options_.settings, options_.settings.sessions), tracked(options_.open, own_sessions_),
          [&loop](auto done) { asio::post(loop, std::move(done)); }, &loop),
      finishing_(
          pool_options(options_.settings, finishing_sessions(options_.settings)),
          tracked(options_.open_finishing, own_sessions_),
          [&loop](auto done) { asio::post(loop, std::move(done)); }, &loop),
      control_(pool_options(options_.settings, 1), tracked(options_.open_finishing, own_sessions_),
               [&loop](auto done) { asio::post(loop, std::move(done)); }),
      orphans_(loop, name_, options_.cluster, options_.list_interval, orphan_watch_owner()) {}

Resource::~Resource() {
  shut_down();
}

void Resource::start() {
  for (const auto& effect : ownership_.start()) {
    std::visit([this](const auto& one) { carry_out(one); }, effect);
  }
}

void Resource::shut_down() {
  if (std::exchange(shut_down_, true)) return;
  alarm_.stop();
  orphans_.stop();
  work_.shut_down();
  finishing_.shut_down();
  control_.shut_down();
}

OrphanWatch::Owner Resource::orphan_watch_owner() {
  OrphanWatch::Owner owner;
  owner.list_prepared = [this](std::function<void(Result<PreparedList>)> done) {
    on_control<PreparedList>(
        [](DatabaseConnection& connection) { return result_of(connection.list_prepared()); },
        std::move(done));
  };
  owner.live_branches = owner_.live_branches;
  owner.ask_decision = owner_.ask_decision;
  owner.found = [this](const BranchId& id) { owner_.table(PreparedFound{id, name_}); };
  owner.serves = [this] { return serves(); };
  return owner;
}

ResourceHealth Resource::health() const {
  if (serves() && !not_durable_.empty()) return health_of(ResourceState::kNotDurable, name_, not_durable_);
  return ownership_.health();
}

void Resource::refresh_metrics() {
  meter_.show("work", work_.counts(), work_.options());
  meter_.show("finishing", finishing_.counts(), finishing_.options());
  meter_.show("control", control_.counts(), control_.options());
}

void Resource::note_durability(std::string why_not) {
  if (!options_.settings.require_durability) why_not.clear();
  if (why_not == not_durable_) return;
  not_durable_ = std::move(why_not);
  if (not_durable_.empty()) return log_info("resource takes writes again", {{"resource", name_}});
  log_warning("resource refuses writes", {{"resource", name_}, {"why", not_durable_}});
}

void Resource::refuse_expired() {
  work_.refuse_expired();
  finishing_.refuse_expired();
  control_.refuse_expired();
}

std::string Resource::identity() const {
  const auto& identity = ownership_.memory().identity;
  return identity ? identity->server + "/" + identity->installation : std::string{};
}

// ---- tasks

// A connection was lost: the server that the next one reaches may be another, or the same one set back.
void Resource::noticed(BackendFate fate) {
  if (fate == BackendFate::kAlive) return;
  meter_.session_lost();
  step(Disconnected{"a connection to it was lost"});
}

void Resource::later(Duration delay, std::function<void()> action) {
  const auto timer = std::make_shared<asio::steady_timer>(loop_, delay);
  timer->async_wait([this, timer, action = std::move(action)](const asio::error_code& stopped) {
    if (!stopped && !shut_down_) action();
  });
}

void Resource::report(const BranchId& id, BranchInput input) {
  owner_.table(BranchReported{id, std::move(input)});
}

// ---- ownership

void Resource::journal_durable(JournalTicket through) {
  step(OwnershipDurable{through});
}

void Resource::allow_take_over(std::function<void(const ResourceHealth&)> done) {
  take_over_done_ = std::move(done);
  step(TakeOverAllowed{});
  if (serves()) owner_.on_standing();
  take_over_came_to_an_end();
}

void Resource::take_over_came_to_an_end() {
  if (!take_over_done_) return;
  const auto now = health();
  const bool ended =
      serves() || now.state == ResourceState::kSetBack || now.state == ResourceState::kNotOwner;
  if (ended) std::exchange(take_over_done_, nullptr)(now);
}

void Resource::step(const OwnershipInput& input) {
  if (shut_down_) return;
  const auto effects = ownership_.step(input, boot_now(), owner_.journal());
  for (const auto& effect : effects)
    std::visit([this](const auto& one) { carry_out(one); }, effect);
  alarm_.set(ownership_.wakes_at());
}

void Resource::carry_out(const Connect&) {
  on_control<bool>([](DatabaseConnection&) { return true; },
                   [this](const Result<bool>& connected) {
                     if (connected) return step(Connected{});
                     log_warning("resource cannot be reached",
                                 {{"resource", name_}, {"why", connected.error().message}});
                     step(Disconnected{connected.error().message});
                   });
}

void Resource::carry_out(const ReadServer& effect) {
  on_control<ServerRow>(
      [gtid = effect.known_gtid](DatabaseConnection& connection) {
        return result_of(connection.read_server(gtid));
      },
      [this](Result<ServerRow> row) {
        if (!row) return step(ServerUnread{std::move(row.error())});
        note_durability(row->not_durable);
        step(ServerRead{*std::move(row)});
      });
}

void Resource::carry_out(const ClaimRow& effect) {
  reach(CrashPoint::kAfterClaimDurable);
  on_control<bool>(
      [effect](DatabaseConnection& connection) {
        return result_of(connection.claim_owner(effect.expected, effect.claimed));
      },
      [this](const Result<bool>& won) {
        reach(CrashPoint::kAfterOwnerRaised);
        step(RowChanged{won ? std::optional(*won) : std::nullopt});
      });
}

void Resource::carry_out(const RaiseCounter& effect) {
  on_control<bool>(
      [effect](DatabaseConnection& connection) {
        return result_of(connection.raise_counter(effect.mine, effect.counter));
      },
      [this](const Result<bool>& won) { step(RowChanged{won ? std::optional(*won) : std::nullopt}); });
}

void Resource::carry_out(const ListSessions&) {
  reach(CrashPoint::kAfterOwnsDurable);
  on_control<std::vector<RoleSession>>(
      [](DatabaseConnection& connection) { return result_of(connection.list_role_sessions()); },
      [this](const Result<std::vector<RoleSession>>& sessions) {
        if (!sessions) return step(Disconnected{sessions.error().message});
        SessionsListed listed;
        for (const auto& session : *sessions) {
          if (!own_sessions_->holds(session.connection)) listed.others.push_back(session.connection);
        }
        step(listed);
      });
}

void Resource::carry_out(const EndSessions& effect) {
  log_warning("ending other sessions of the role",
              {{"resource", name_}, {"sessions", effect.sessions.size()}});
  on_control<bool>(
      [sessions = effect.sessions](DatabaseConnection& connection) {
        const auto server_start = connection.session_identity().server_start;
        for (const auto session : sessions) {
          if (const auto ended = connection.end_session({session, server_start}); !ended)
            return result_of(ended);
        }
        return Result<bool>(true);
      },
      [this](const Result<bool>& ended) {
        if (!ended)
          log_warning("a session could not be ended", {{"resource", name_}, {"why", ended.error().message}});
      });
}

void Resource::carry_out(const Serve& effect) {
  reach(CrashPoint::kAfterSessionsEnded);
  mine_ = effect.mine;
  log_info("resource serves", {{"resource", name_}, {"incarnation", mine_.incarnation}});
  owner_.table(ResourceServing{name_});
  owner_.on_standing();
  orphans_.begin();
  take_over_came_to_an_end();
}

// What was opened before may reach the server that was there before.
void Resource::carry_out(const AcceptSetBack&) {
  log_warning("a resource that was set back is taken as it is", {{"resource", name_}});
  work_.renew();
  finishing_.renew();
  owner_.table(ResourceSetBack{name_});
}

void Resource::carry_out(const StartAnew& effect) {
  log_warning("the agent starts anew", {{"resource", name_}, {"why", effect.reason.message}});
  owner_.start_anew(effect.reason);
}

void Resource::carry_out(const Stop& effect) {
  log_warning("resource does not serve", {{"resource", name_}, {"why", effect.reason.message}});
  owner_.table(ResourceStopped{name_, effect.reason});
  if (is_anothers()) owner_.on_standing();
  take_over_came_to_an_end();
}

void Resource::carry_out(const AppendJournal& effect) {
  owner_.append(effect);
}

// ---- floors

void Resource::raise_floors(const Floors& floors) {
  on_control<bool>(
      [cluster = options_.cluster, floors](DatabaseConnection& connection) -> Result<bool> {
        const auto raised = connection.raise_floors(cluster, floors);
        if (!raised) return std::unexpected(raised.error().error);
        return true;
      },
      [this, floors](const Result<bool>& raised) {
        reach(CrashPoint::kAfterFloorRaised);
        if (raised) return owner_.table(FloorsCommitted{name_, floors});
        log_warning("floors could not be raised", {{"resource", name_}, {"why", raised.error().message}});
        later(kRetry, [this, floors] {
          if (serves()) raise_floors(floors);
        });
      });
}

void Resource::delete_markers(const Floors& floors, std::uint32_t limit) {
  on_control<std::uint64_t>(
      [cluster = options_.cluster, floors, limit](DatabaseConnection& connection) {
        return result_of(connection.delete_markers(cluster, floors, limit));
      },
      [this, floors, limit](const Result<std::uint64_t>& rows) {
        if (rows) return owner_.table(MarkersDeleted{name_, *rows});
        log_warning("markers could not be deleted", {{"resource", name_}, {"why", rows.error().message}});
        later(kRetry, [this, floors, limit] {
          if (serves()) delete_markers(floors, limit);
        });
      });
}

}  // namespace troth::agent
