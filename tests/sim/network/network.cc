#include "tests/sim/network/network.h"

#include <array>

#include "base/check.h"
#include "tests/sim/words/message_words.h"

namespace troth::sim {

// Both ends; each knows only what has come to it.
class Line : public std::enable_shared_from_this<Line> {
 public:
  struct End {
    Node* node = nullptr;
    std::uint64_t generation = 0;
    std::string address;  // where it listens; empty: it dialled
    Wire::Events events;
    bool open = false;
  };

  explicit Line(Network& network) : network_(network) {}

  End& end(bool dialled) { return ends_[dialled ? 0 : 1]; }

  void send(bool dialled, Frame frame) {
    auto& own = end(dialled);
    if (!own.open) return;
    auto& world = network_.world_;
    const auto& faults = network_.faults_;
    if (world.chance(Purpose::kNetwork, faults.reset)) {
      world.count_fault("connection reset");
      tell(own, "resets the connection at", dialled, frame);
      drop(true);
      drop(false);
      return;
    }
    if (!network_.reaches(*own.node, *end(!dialled).node)) {
      world.count_fault("message kept back by a partition");
      tell(own, "does not reach", dialled, frame);
      return;
    }
    if (world.chance(Purpose::kNetwork, faults.lost)) {
      world.count_fault("message lost");
      tell(own, "loses a message to", dialled, frame);
      return;
    }
    auto delay = network_.delay();
    if (world.chance(Purpose::kNetwork, faults.late)) {
      world.count_fault("message late");
      tell(own, "sends late to", dialled, frame);
      delay += world.draw(Purpose::kNetwork, Duration(1'000), faults.latest);
    }
    if (world.chance(Purpose::kNetwork, faults.doubled)) repeat(dialled, frame);
    world.after(delay, [self = shared_from_this(), dialled, frame = std::move(frame)] {
      self->arrive(!dialled, frame);
    });
  }

  void close(bool dialled) {
    auto& own = end(dialled);
    if (!std::exchange(own.open, false)) return;
    own.events = {};
    drop(!dialled);
  }

  // The end hears that the other one is gone, unless something is in the way.
  void drop(bool dialled) {
    const auto& other = end(!dialled);
    auto& own = end(dialled);
    if (!network_.reaches(*other.node, *own.node)) return;
    network_.world_.after(network_.delay(), [self = shared_from_this(), dialled] {
      auto& told = self->end(dialled);
      if (!std::exchange(told.open, false)) return;
      Node::Action action = [reset = std::exchange(told.events, {}).on_reset] {
        if (reset) reset();
      };
      told.node->run_in(told.generation, action);
    });
  }

 private:
  // `own`: the end at which something happens to the message.
  void tell(const End& own, std::string_view what, bool dialled, const Frame& frame) {
    auto& world = network_.world_;
    world.trace().event(world.now(), own.node->name(), what, frame.size(),
                        [&] { return end(!dialled).node->name() + ": " + words(frame); });
  }

  // An answer with what was asked. Called only where somebody reads the trace.
  std::string words(const Frame& frame) {
    auto message = words_of(frame);
    if (message.is_call) return asked_[message.seqid] = std::move(message.text);
    return asked_[message.seqid] + " -> " + message.text;
  }

  void arrive(bool dialled, const Frame& frame) {
    auto& to = end(dialled);
    if (to.generation != to.node->generation() || !to.open) tell(to, "does not hear", dialled, frame);
    if (to.generation != to.node->generation()) {
      // A new start of the program, or none, knows nothing of the connection.
      if (to.node->is_up() && end(!dialled).open) drop(!dialled);
      return;
    }
    if (!to.open) {
      // Closed here, and the other end never heard of it: it does now.
      if (end(!dialled).open) drop(!dialled);
      return;
    }
    Node::Action action = [self = shared_from_this(), dialled, frame] {
      const auto& here = self->end(dialled);
      const auto on_frame = here.events.on_frame;
      if (!here.open || !on_frame) return;
      self->tell(here, "hears", dialled, frame);
      on_frame(frame);
    };
    to.node->run_in(to.generation, action);
  }

  // The same call again, to whoever listens there by then; as if on a connection of its own.
  void repeat(bool dialled, const Frame& frame) {
    const auto& to = end(!dialled);
    auto& world = network_.world_;
    if (to.address.empty()) {
      // An answer: its caller takes the first one.
      world.after(network_.delay(),
                  [self = shared_from_this(), dialled, frame] { self->arrive(!dialled, frame); });
      return;
    }
    // At once, while what it asks for is still under way, or long after.
    auto delay = network_.delay();
    const auto when = world.random(Purpose::kNetwork).below(3);
    if (when > 0)
      delay += world.draw(Purpose::kNetwork, Duration(1'000),
                          when == 1 ? std::chrono::seconds(1) : std::chrono::seconds(20));
    world.count_fault("message doubled");
    tell(end(dialled), "sends twice to", dialled, frame);
    world.after(delay, [&network = network_, address = to.address, frame] {
      const auto found = network.listeners_.find(address);
      if (found == network.listeners_.end()) return;
      const auto& listener = found->second;
      if (listener.generation != listener.node->generation()) return;
      Node::Action action = [accept = listener.accept, &node = *listener.node, frame] {
        auto& its_world = node.world();
        its_world.trace().event(its_world.now(), node.name(), "hears again", frame.size(),
                                [&] { return words_of(frame).text; });
        class Nowhere final : public Wire {
          void send(Frame) override {}
          void close() override {}
        };
        const auto events = accept(std::make_shared<Nowhere>());
        events.on_frame(frame);
      };
      listener.node->run_in(listener.generation, action);
    });
  }

  Network& network_;
  std::array<End, 2> ends_;
  std::map<std::int32_t, std::string> asked_;  // by seqid
};

namespace {

class LineWire final : public Wire {
 public:
  LineWire(std::shared_ptr<Line> line, bool dialled) : line_(std::move(line)), dialled_(dialled) {}
  void send(Frame frame) override { line_->send(dialled_, std::move(frame)); }
  void close() override { line_->close(dialled_); }

 private:
  std::shared_ptr<Line> line_;
  bool dialled_;
};

}  // namespace

// What listens to a line holds its end of it.
Network::~Network() {
  for (const auto& each : lines_) {
    const auto line = each.lock();
    if (!line) continue;
    line->end(true).events = {};
    line->end(false).events = {};
  }
}

void Network::block(const Node& from, const Node& to) {
  if (!blocked_.insert({&from, &to}).second) return;
  world_.trace().event(world_.now(), from.name(), "is cut off from", 0, [&] { return to.name(); });
}

void Network::heal() {
  if (blocked_.empty()) return;
  blocked_.clear();
  world_.trace().event(world_.now(), "world", "everybody reaches everybody");
}

bool Network::reaches(const Node& from, const Node& to) const {
  return !blocked_.contains({&from, &to});
}

void Network::hang_up(const Node& node) {
  for (const auto& each : lines_) {
    const auto line = each.lock();
    if (!line) continue;
    for (const bool dialled : {true, false}) {
      auto& end = line->end(dialled);
      if (end.node != &node || end.generation == node.generation() || !end.open) continue;
      end.open = false;
      end.events = {};
      line->drop(!dialled);
    }
  }
}

Duration Network::full_for() {
  if (!world_.chance(Purpose::kNetwork, faults_.full)) return Duration::zero();
  world_.count_fault("connection's buffer full");
  const auto most = world_.chance(Purpose::kNetwork, 5'000) ? faults_.fullest : Duration(20'000);
  return Duration(world_.random(Purpose::kNetwork).between(1'000, most.count()));
}

Duration Network::delay() {
  return world_.draw(Purpose::kNetwork, Duration(30), Duration(400));
}

void Network::listen(Node& node, const std::string& address, Accept accept) {
  listeners_.insert_or_assign(address, Listener{&node, node.generation(), std::move(accept)});
  machines_[address] = &node;
}

void Network::stop_listening(const std::string& address) {
  listeners_.erase(address);
}

void Network::dial(Node& from, const std::string& address, Wire::Events events,
                   std::function<void(WirePointer)> done) {
  const auto machine = machines_.find(address);
  const auto answer = [&from, generation = from.generation(), done](WirePointer wire) {
    Node::Action action = [done, wire] { done(wire); };
    from.run_in(generation, action);
  };
  if (machine == machines_.end()) {
    world_.after(delay(), [answer] { answer(nullptr); });
    return;
  }
  auto& to = *machine->second;
  if (!reaches(from, to)) return;
  const auto line = std::make_shared<Line>(*this);
  std::erase_if(lines_, [](const auto& each) { return each.expired(); });
  lines_.push_back(line);
  line->end(true) = {&from, from.generation(), {}, std::move(events), false};
  world_.after(delay(), [this, &from, &to, address, line, answer] {
    const bool comes_back = reaches(to, from);
    const auto found = listeners_.find(address);
    if (found == listeners_.end() || found->second.generation != to.generation()) {
      if (comes_back) world_.after(delay(), [answer] { answer(nullptr); });
      return;
    }
    line->end(false) = {&to, to.generation(), address, {}, true};
    Node::Action action = [accept = found->second.accept, line] {
      line->end(false).events = accept(std::make_shared<LineWire>(line, false));
    };
    to.run_in(to.generation(), action);
    if (!comes_back) return;
    world_.after(delay(), [line, answer] {
      line->end(true).open = true;
      answer(std::make_shared<LineWire>(line, true));
    });
  });
}

}  // namespace troth::sim
