#include "recovery/runtime/shell_link.h"

#include <array>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <unistd.h>

#include "base/check.h"

namespace troth::recovery {

struct ShellLink::Waiting {
  explicit Waiting(int interrupts) : interrupted(loop, ::dup(interrupts)) {
    CHECK(interrupted.is_open());
    listen();
  }

  // One wait at a time; it also keeps the loop from running out of work.
  void listen() {
    listening = true;
    interrupted.async_wait(asio::posix::stream_descriptor::wait_read,
                           [this](const asio::error_code& problem) {
                             listening = false;
                             came = !problem;
                           });
  }

  asio::io_context loop{1};
  asio::posix::stream_descriptor interrupted;
  bool listening = false;
  bool came = false;
};

ShellLink::ShellLink(rpc::Address coordinator, rpc::ChannelOptions options, Interrupts& interrupts)
    : waiting_(std::make_unique<Waiting>(interrupts.fd())),
      channel_(std::make_unique<rpc::Channel>(waiting_->loop, std::move(coordinator), std::move(options))) {}

ShellLink::~ShellLink() = default;

void ShellLink::notice_what_came() {
  waiting_->loop.restart();
  waiting_->loop.poll();
}

void ShellLink::run_until(const std::function<bool()>& finished) {
  waiting_->came = false;
  if (!waiting_->listening) waiting_->listen();
  while (!finished() && !waiting_->came)
    waiting_->loop.run_one();
}

bool ShellLink::pause(Duration time) {
  bool over = false;
  const auto ended = std::make_shared<bool>(false);
  asio::steady_timer timer(waiting_->loop, time);
  timer.async_wait([ended](const asio::error_code&) { *ended = true; });
  run_until([&] { return over = *ended; });
  return over;
}

}  // namespace troth::recovery
