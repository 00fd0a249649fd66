#include "participant_agent/runtime/later_looks.h"

#include <chrono>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

namespace troth::agent {

class LaterLooks::Rounds : public std::enable_shared_from_this<Rounds> {
 public:
  explicit Rounds(asio::io_context& loop) : timer_(loop) {}

  void add(std::function<bool()> look) {
    fresh_.push_back(std::move(look));
    if (!std::exchange(running_, true)) wait();
  }

  void stop() {
    fresh_.clear();
    due_.clear();
    timer_.cancel();
  }

 private:
  static constexpr std::chrono::milliseconds kRound{2};

  void wait() {
    timer_.expires_after(kRound);
    timer_.async_wait([weak = weak_from_this()](const asio::error_code& problem) {
      const auto self = weak.lock();
      if (!problem && self != nullptr) self->round();
    });
  }

  // A look may add others.
  void round() {
    std::vector<std::function<bool()>> looks = std::exchange(due_, {});
    for (auto& look : looks)
      if (look()) due_.push_back(std::move(look));
    for (auto& look : std::exchange(fresh_, {}))
      due_.push_back(std::move(look));
    running_ = !due_.empty();
    if (running_) wait();
  }

  asio::steady_timer timer_;
  bool running_ = false;
  std::vector<std::function<bool()>> fresh_;  // added since the last round
  std::vector<std::function<bool()>> due_;    // those of the next one
};

LaterLooks::LaterLooks(asio::io_context& loop) : rounds_(std::make_shared<Rounds>(loop)) {}

LaterLooks::~LaterLooks() {
  rounds_->stop();
}

void LaterLooks::add(std::function<bool()> look) {
  rounds_->add(std::move(look));
}

}  // namespace troth::agent
