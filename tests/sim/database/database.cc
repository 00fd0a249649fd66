#include "tests/sim/database/database.h"

#include <fmt/format.h>

#include "base/check.h"
#include "tests/sim/words/database_words.h"

namespace troth::sim {
Database::Database(World& world, Network& network, std::string name, ModelOptions options)
    : world_(world),
      network_(network),
      kind_(options.kind),
      node_(world, std::move(name), NodeClock(), {}),
      server_(std::make_unique<ModelServer>(
          std::move(options), Random(world.random(Purpose::kDatabase).next()), Instant(world.now()))) {}

// What the server has done by now reaches its clients, and it is looked at again when it has something to do.
void Database::wake() {
  server_->advance(now());
  tell_markers();
  deliver();
  // Programs that crash take their sessions' clients with them.
  std::vector<SessionHandle> orphaned;
  for (const auto& [session, client] : clients_)
    if (client.first->generation() != client.second) orphaned.push_back(session);
  for (const auto session : orphaned) {
    clients_.erase(session);
    waiting_.erase(session);
    if (world_.chance(Purpose::kDatabase, 3'000)) {
      world_.count_rare("a session outlived its client");
      server_->cut(session, now());
    } else {
      server_->vanish(session, now());
    }
  }
  const auto next = server_->wakes_at();
  if (!next || (wakes_at_ && *wakes_at_ <= *next && *wakes_at_ > now())) return;
  wakes_at_ = next;
  world_.after(std::max(*next - now(), Duration::zero()), [this, at = *next] {
    if (wakes_at_ == at) wakes_at_.reset();
    wake();
  });
}

void Database::tell_markers() {
  for (const auto& [key, row] : server_->take_changed_markers()) {
    if (row)
      markers_told_.insert(key);
    else
      markers_told_.erase(key);
    if (on_marker) on_marker(key, row ? &*row : nullptr);
  }
}

void Database::deliver() {
  for (auto& completion : server_->take_completions()) {
    const auto found = waiting_.find(completion.session);
    if (found == waiting_.end()) continue;
    auto waiting = std::move(found->second);
    waiting_.erase(found);
    if (waiting.loses_reply) {
      world_.count_rare("a database's answer was lost");
      clients_.erase(completion.session);
      server_->vanish(completion.session, now());
      answer(completion.session, std::move(waiting), std::nullopt);
      continue;
    }
    const auto session = completion.session;
    answer(session, std::move(waiting), std::move(completion));
  }
}

void Database::answer(SessionHandle session, Waiting waiting, std::optional<Completion> completion) {
  world_.trace().event(world_.now(), name(), completion ? "answers" : "loses a client's connection",
                       completion ? completion->reply.index() : 0, [&] {
                         return fmt::format("{}: {}{}{}", waiting.client->name(), waiting.asked,
                                            completion ? " -> " : "",
                                            completion ? words_of(completion->reply) : "") +
                                (network_.reaches(node_, *waiting.client) ? "" : " (which does not arrive)");
                       });
  if (!network_.reaches(node_, *waiting.client)) {
    waiting_.emplace(session, std::move(waiting));  // it waits for what does not come, until it gives up
    return;
  }
  world_.after(delay(), [waiting = std::move(waiting), completion = std::move(completion)]() mutable {
    Node::Action action = [done = std::move(waiting.done), completion = std::move(completion)]() mutable {
      done(std::move(completion));
    };
    waiting.client->run_in(waiting.generation, action);
  });
}

void Database::open(Node& client, const std::string& role, const agent::SessionSettings& settings,
                    std::function<void(Result<SessionHandle>)> done) {
  if (!network_.reaches(client, node_) || !network_.reaches(node_, client)) {
    // As a driver's connect_timeout ends it.
    client.post_after(std::chrono::seconds(5), [done = std::move(done)] {
      done(fail(ErrorCode::kUnavailable, Effect::kNone, "the database cannot be reached: no answer in time"));
    });
    return;
  }
  world_.after(delay(), [this, &client, generation = client.generation(), role, settings,
                         done = std::move(done)]() mutable {
    if (generation != client.generation()) return;
    auto opened = server_->open(role, settings, now());
    if (opened) clients_[*opened] = {&client, generation};
    wake();
    world_.after(delay(),
                 [&client, generation, done = std::move(done), opened = std::move(opened)]() mutable {
                   Node::Action action = [done = std::move(done), opened = std::move(opened)]() mutable {
                     done(std::move(opened));
                   };
                   client.run_in(generation, action);
                 });
  });
}

void Database::ask(Node& client, SessionHandle session, Request request,
                   std::function<void(std::optional<Completion>)> done) {
  world_.trace().event(world_.now(), name(), "is asked", request.index(), [&] {
    return fmt::format("by {} on session {}: {}{}", client.name(), session.value, words_of(request),
                       network_.reaches(client, node_) ? "" : " (which does not arrive)");
  });
  Waiting waiting{&client, client.generation(), std::move(done)};
  if (world_.trace().is_printed()) waiting.asked = words_of(request);
  if (!clients_.contains(session)) return answer(session, std::move(waiting), std::nullopt);
  CHECK(!waiting_.contains(session), "a session is asked two things at once");
  if (!network_.reaches(client, node_)) {
    waiting_.emplace(session, std::move(waiting));  // until it gives up
    return;
  }
  if (world_.chance(Purpose::kDatabase, breaks_)) {
    world_.count_fault("database connection broken");
    switch (world_.random(Purpose::kDatabase).below(3)) {
      case 0:
        clients_.erase(session);
        server_->vanish(session, now());
        wake();
        return answer(session, std::move(waiting), std::nullopt);
      case 1:
        clients_.erase(session);
        server_->cut(session, now());
        wake();
        return answer(session, std::move(waiting), std::nullopt);
      default: waiting.loses_reply = true;
    }
  }
  waiting_.emplace(session, std::move(waiting));
  world_.after(delay(), [this, session, generation = client.generation(), &client,
                         request = std::move(request)]() mutable {
    // The bytes are on their way whatever became of who sent them, unless the connection went.
    if (!clients_.contains(session)) return;
    static_cast<void>(generation);
    static_cast<void>(client);
    if (on_request) on_request(request);
    server_->submit(session, std::move(request), now());
    wake();
  });
}

void Database::interrupt(Node& client, SessionHandle session) {
  if (!network_.reaches(client, node_) || !clients_.contains(session)) return;
  world_.after(delay(), [this, session] {
    if (!clients_.contains(session)) return;
    server_->interrupt(session, now());
    wake();
  });
}

void Database::let_go(Node& client, SessionHandle session) {
  if (clients_.erase(session) > 0) {
    if (network_.reaches(client, node_))
      server_->vanish(session, now());
    else
      server_->cut(session, now());
  }
  if (const auto found = waiting_.find(session); found != waiting_.end()) {
    auto waiting = std::move(found->second);
    waiting_.erase(found);
    // Its own side knows at once.
    Node::Action action = [done = std::move(waiting.done)] { done(std::nullopt); };
    waiting.client->post([action = std::move(action)]() mutable { action(); });
  }
  wake();
}

void Database::crash() {
  if (!server_->is_up()) return;
  world_.trace().event(world_.now(), name(), "crashes");
  server_->crash(now());
  wake();
}

void Database::start() {
  if (server_->is_up()) return;
  world_.trace().event(world_.now(), name(), "starts");
  server_->start(now());
  // What was seen before, and is not there any more.
  auto gone = std::exchange(markers_told_, {});
  tell_markers();
  for (const auto& key : gone)
    if (!markers_told_.contains(key) && on_marker) on_marker(key, nullptr);
  wake();
}

void Database::restore(const Copy& copy, bool promoted) {
  crash();
  world_.trace().event(world_.now(), name(), promoted ? "is promoted" : "is set back");
  if (promoted)
    server_->promote(copy.disk);
  else
    server_->set_back(copy.disk);
  markers_told_.clear();  // nobody deleted them
}

Duration Database::delay() {
  const auto most = world_.now() < slow_until_ ? Duration(1'500'000) : Duration(200);
  return world_.draw(Purpose::kDatabase, Duration(15), most);
}

void Database::be_slow_until(Duration until) {
  world_.trace().event(world_.now(), name(), "is slow", static_cast<std::uint64_t>(until.count()),
                       [&] { return fmt::format("until {:.3f}", static_cast<double>(until.count()) / 1e6); });
  slow_until_ = until;
}

void Database::cut_all() {
  world_.trace().event(world_.now(), name(), "loses all its connections", clients_.size());
  for (const auto& [session, client] : std::exchange(clients_, {})) {
    server_->cut(session, now());
    if (const auto found = waiting_.find(session); found != waiting_.end()) {
      auto waiting = std::move(found->second);
      waiting_.erase(found);
      answer(session, std::move(waiting), std::nullopt);
    }
  }
  wake();
}

}  // namespace troth::sim
