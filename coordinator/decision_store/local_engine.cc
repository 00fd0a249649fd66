#include "coordinator/decision_store/local_engine.h"

#include "base/check.h"

namespace troth::coordinator::store {
namespace {

// How many entries one cleaning step looks at: a few milliseconds, so that requests are not held up.
constexpr std::size_t kVisitsPerStep = 4096;

}  // namespace

Status LocalEngine::restore(const LogRecord& record, WriteNumber written) {
  return records_.restore(record, written);
}

Status LocalEngine::opened(WriteNumber next) {
  next_ = next;
  durable_ = {next.value - 1};
  return records_.finish_restore();
}

std::vector<LocalEngine::Effect> LocalEngine::step(Input input) {
  std::vector<Effect> effects;
  std::visit(
      [&](auto& in) {
        using I = std::decay_t<decltype(in)>;
        if constexpr (std::is_same_v<I, Asked>) {
          ask(std::move(in), effects);
        } else if constexpr (std::is_same_v<I, WritesDurable>) {
          if (failure_) return;
          CHECK(in.through < next_, "write {} is durable, {} was never appended", in.through.value,
                next_.value);
          durable_ = std::max(durable_, in.through);
          release(effects);
        } else if constexpr (std::is_same_v<I, WriteFailed>) {
          fail_all(in.reason, effects);
        } else if constexpr (std::is_same_v<I, CleaningRequested>) {
          if (cleaning_ || failure_) return;
          cleaning_ = Cleaning{in.cut, {}, {}};
          clean(effects);
        } else {
          if (cleaning_ && !failure_) clean(effects);
        }
      },
      input);
  return effects;
}

void LocalEngine::ask(Asked asked, std::vector<Effect>& effects) {
  if (failure_) {
    effects.emplace_back(Answered{asked.ticket, Unknown{*failure_}});
    return;
  }
  auto reply = records_.apply(asked.request, next_);
  append(std::move(reply.append), effects);
  Answered answered{asked.ticket, std::move(reply.answer)};
  if (reply.depends_on <= durable_)
    effects.emplace_back(std::move(answered));
  else
    waiting_.emplace(reply.depends_on, std::move(answered));
}

void LocalEngine::append(std::vector<LogRecord> records, std::vector<Effect>& effects) {
  for (auto& record : records) {
    effects.emplace_back(Append{next_, std::move(record)});
    ++next_.value;
  }
}

void LocalEngine::release(std::vector<Effect>& effects) {
  while (!waiting_.empty() && waiting_.begin()->first <= durable_) {
    effects.emplace_back(std::move(waiting_.begin()->second));
    waiting_.erase(waiting_.begin());
  }
  if (cleaning_ && cleaning_->cursor.stage == RecordTable::CopyCursor::Stage::kDone &&
      cleaning_->last_copy <= durable_) {
    effects.emplace_back(CutBelow{cleaning_->cut});
    cleaning_.reset();
  }
}

void LocalEngine::fail_all(const Error& reason, std::vector<Effect>& effects) {
  if (failure_) return;
  failure_ = reason;
  failure_->effect = troth::Effect::kUnknown;
  cleaning_.reset();
  for (auto& [number, answered] : waiting_)
    effects.emplace_back(Answered{answered.ticket, Unknown{*failure_}});
  waiting_.clear();
}

void LocalEngine::clean(std::vector<Effect>& effects) {
  using Stage = RecordTable::CopyCursor::Stage;
  if (cleaning_->cursor.stage == Stage::kDone) return;
  auto copies = records_.copy_forward(cleaning_->cursor, cleaning_->cut, next_, kVisitsPerStep);
  append(std::move(copies), effects);
  cleaning_->last_copy = {next_.value - 1};
  if (cleaning_->cursor.stage == Stage::kDone)
    release(effects);
  else
    effects.emplace_back(ContinueCleaning{});
}

}  // namespace troth::coordinator::store
