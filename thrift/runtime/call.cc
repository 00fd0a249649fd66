#include "thrift/runtime/call.h"

#include <utility>

#include <fmt/format.h>
#include <thrift/TApplicationException.h>

#include "thrift/runtime/server_state.h"

namespace troth::rpc {
namespace {

constexpr std::size_t kKeptWriters = 256;

}  // namespace

Call::Call(std::weak_ptr<CallEnd> end, std::shared_ptr<GeneratedService> service,
           std::shared_ptr<ServerState> server, Ticket ticket)
    : end_(std::move(end)),
      service_(std::move(service)),
      server_(std::move(server)),
      writer_(server_->writers().take(ticket.encoding)),
      ticket_(std::move(ticket)) {
  server_->call_began();
}

Call::~Call() {
  try {
    failed(apache::thrift::TApplicationException::INTERNAL_ERROR,
           fmt::format("the service ended '{}' without an answer; its effect is unknown", ticket_.method));
    server_->writers().give_back(std::move(writer_));
  } catch (const std::exception&) {
    // No memory for the refusal: the caller's own deadline tells it.
  }
}

void Call::answered() {
  if (!finish()) return;
  if (const auto end = end_.lock()) end->finish_call(ticket_, writer_->frame());
}

void Call::failed(int type, const std::string& message) {
  if (!finish()) return;
  if (const auto end = end_.lock()) end->fail_call(ticket_, type, message);
}

void Call::unreadable(const std::string& why) {
  if (!done_) ++server_->counts().malformed;
  failed(apache::thrift::TApplicationException::PROTOCOL_ERROR,
         fmt::format("the arguments of '{}' cannot be read{}{}: nothing was done", ticket_.method,
                     why.empty() ? "" : ": ", why));
}

bool Call::finish() {
  if (std::exchange(done_, true)) return false;
  server_->call_ended();
  return true;
}

std::unique_ptr<MessageWriter> WriterPool::take(Encoding encoding) {
  auto& kept = encoding == Encoding::kBinary ? binary_ : compact_;
  if (kept.empty()) return std::make_unique<MessageWriter>(encoding);
  auto writer = std::move(kept.back());
  kept.pop_back();
  writer->reset();
  return writer;
}

void WriterPool::give_back(std::unique_ptr<MessageWriter> writer) {
  auto& kept = writer->encoding() == Encoding::kBinary ? binary_ : compact_;
  if (kept.size() < kKeptWriters) kept.push_back(std::move(writer));
}

}  // namespace troth::rpc
