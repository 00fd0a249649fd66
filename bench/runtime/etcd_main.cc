// bench-etcd: asks etcd for writes as bench-decide asks a coordinator for decisions: as many in flight as given, each in a call
// of its own on one connection; every answer is checked and asks for the next. One line of JSON. For bench/runtime/decide.py.
//
// put: a new key is written. txn: the same, if nobody has written it before, which is what a decision is.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "base/runtime/clock.h"
#include "bench/runtime/etcd_kv.grpc.pb.h"
#include "bench/statistics.h"

namespace troth::bench {
namespace {

namespace etcd = etcdserverpb;

struct Arguments {
  std::string address;
  std::string call;
  std::string keys;
  std::size_t in_flight = 1;
  double seconds = 5;
  double warm_up = 1;
};

Duration in_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// As long as the record of a decision with two branches.
constexpr std::size_t kValueBytes = 100;

class Load {
 public:
  explicit Load(const Arguments& arguments)
      : arguments_(arguments),
        stub_(etcd::KV::NewStub(grpc::CreateChannel(arguments.address, grpc::InsecureChannelCredentials()))) {
  }

  // Empty, or why it ended.
  std::string run() {
    from_ = boot_now() + in_seconds(arguments_.warm_up);
    until_ = from_ + in_seconds(arguments_.seconds);
    for (std::size_t i = 0; i < arguments_.in_flight; ++i)
      ask();
    void* tag = nullptr;
    bool ok = false;
    while (running_ > 0 && queue_.Next(&tag, &ok)) {
      const std::unique_ptr<Call> call(static_cast<Call*>(tag));
      --running_;
      if (std::string wrong = check(*call); !wrong.empty()) {
        failure_ = std::move(wrong);
        until_ = Instant::min();
      }
      const auto now = boot_now();
      if (now < from_ || now >= until_) {
        if (now < from_) ask();
        continue;
      }
      latencies_ms_.push_back(std::chrono::duration<double, std::milli>(now - call->sent).count());
      last_ = now;
      ask();
    }
    return failure_;
  }

  [[nodiscard]] bool measured_something() const { return !latencies_ms_.empty(); }
  [[nodiscard]] std::string json() {
    std::ranges::sort(latencies_ms_);
    const auto elapsed = std::chrono::duration<double>(last_ - from_).count();
    return fmt::format(
        R"({{"call": "{}", "in_flight": {}, "answered": {}, "seconds": {:.4f}, "per_s": {:.1f}, "p50_ms": {:.4f}, )"
        R"("p99_ms": {:.4f}, "worst_ms": {:.4f}}})",
        arguments_.call, arguments_.in_flight, latencies_ms_.size(), elapsed,
        static_cast<double>(latencies_ms_.size()) / elapsed, percentile(latencies_ms_, 50),
        percentile(latencies_ms_, 99), latencies_ms_.back());
  }

 private:
  struct Call {
    Instant sent;
    grpc::ClientContext context;
    grpc::Status status;
    etcd::PutResponse put;
    etcd::TxnResponse txn;
    std::unique_ptr<grpc::ClientAsyncResponseReader<etcd::PutResponse>> putting;
    std::unique_ptr<grpc::ClientAsyncResponseReader<etcd::TxnResponse>> trying;
  };

  void ask() {
    ++running_;
    auto* call = new Call;
    etcd::PutRequest put;
    put.set_key(fmt::format("{}/{:012}", arguments_.keys, ++last_key_));
    put.set_value(std::string(kValueBytes, 'v'));
    call->sent = boot_now();
    if (arguments_.call == "put") {
      call->putting = stub_->AsyncPut(&call->context, put, &queue_);
      call->putting->Finish(&call->put, &call->status, call);
      return;
    }
    etcd::TxnRequest txn;
    auto& compare = *txn.add_compare();
    compare.set_target(etcd::Compare::CREATE);
    compare.set_key(put.key());
    compare.set_create_revision(0);
    *txn.add_success()->mutable_request_put() = std::move(put);
    call->trying = stub_->AsyncTxn(&call->context, txn, &queue_);
    call->trying->Finish(&call->txn, &call->status, call);
  }

  [[nodiscard]] std::string check(const Call& call) const {
    if (!call.status.ok()) return call.status.error_message();
    if (call.putting != nullptr) return call.put.header().revision() > 0 ? "" : "a write has no revision";
    return call.txn.succeeded() ? "" : "a new key was written by somebody else";
  }

  const Arguments& arguments_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<etcd::KV::Stub> stub_;
  Instant from_;
  Instant until_;
  Instant last_;
  std::uint64_t last_key_ = 0;
  std::size_t running_ = 0;
  std::vector<double> latencies_ms_;
  std::string failure_;
};

int run(const Arguments& arguments) {
  Load load(arguments);
  std::string failure = load.run();
  if (failure.empty() && !load.measured_something()) failure = "nothing was answered in that time";
  if (!failure.empty()) {
    std::fputs(fmt::format("bench-etcd: {}\n", failure).c_str(), stderr);
    return 1;
  }
  fmt::print("{}\n", load.json());
  return 0;
}

}  // namespace
}  // namespace troth::bench

int main(int argc, char** argv) {
  troth::bench::Arguments arguments;
  CLI::App app{"Asks etcd for writes. bench/run.sh decide starts it, then this."};
  app.add_option("--etcd", arguments.address, "host:port")->required();
  app.add_option("--call", arguments.call, "put, txn")->required()->check(CLI::IsMember({"put", "txn"}));
  app.add_option("--keys", arguments.keys, "what they begin with")->required();
  app.add_option("--in-flight", arguments.in_flight, "calls at once")->check(CLI::Range(1, 1024));
  app.add_option("--seconds", arguments.seconds, "how long is measured")->check(CLI::Range(0.05, 3600.0));
  app.add_option("--warm-up", arguments.warm_up, "how long before")->check(CLI::Range(0.0, 3600.0));
  CLI11_PARSE(app, argc, argv);
  return troth::bench::run(arguments);
}
