#include "tests/unit/coordinator/table_world.h"

#include <chrono>

#include "tests/unit/coordinator/script_words.h"

namespace troth::coordinator {
namespace {

constexpr std::uint64_t kFirstSilentTicket = 1'000'000;

std::string write_position(Position position) {
  return fmt::format("{}.{}", position.epoch.value, position.sequence.value);
}

std::string write_branch(const BranchId& branch) {
  return fmt::format("{}/{}", write_id(branch.transaction), branch.branch.value);
}

std::string write_to(const BranchAddress& to) {
  return fmt::format("{} in {}, above {}", write_branch(to.branch), to.resource.value,
                     write_position(to.watermark));
}

std::string write_error(const Error& error) {
  return fmt::format("{}, effect {}", name_of(error.code), name_of(error.effect));
}

Digest digest_of(const std::string& content) {
  Digest digest;
  for (std::size_t i = 0; i < content.size() && i < digest.bytes.size(); ++i)
    digest.bytes[i] = static_cast<std::uint8_t>(content[i]);
  return digest;
}

}  // namespace

std::vector<std::string> TableWorld::apply(const std::string& line) {
  lines_.clear();
  Words words(line);
  if (words.accept("limits")) {
    change_limits(words);
  } else if (words.accept("coordinator starts")) {
    start();
  } else if (words.accept("another coordinator takes over")) {
    ask_engine(store::AcquireEpoch{{9}, wall_, {}});
  } else if (words.accept("store waits")) {
    store_waits_ = true;
  } else if (words.accept("store answers")) {
    store_waits_ = false;
    run_store();
  } else if (words.accept("store fails")) {
    // Whatever waits, and all that comes, is unknown from here.
    static_cast<void>(engine_.step(
        store::LocalEngine::WriteFailed{refusal(ErrorCode::kIo, Effect::kUnknown, "disk gone")}));
    run_store();
  } else if (words.accept("the wall clock jumps ahead by")) {
    wall_ += read_duration(words.next());
  } else if (words.accept("the wall clock jumps back by")) {
    wall_ -= read_duration(words.next());
  } else if (words.accept("after")) {
    pass(read_duration(words.next()));
  } else if (!tell(words)) {
    show(words);
  }
  words.expect_end(line);
  return std::move(lines_);
}

// ---- what a script says

void TableWorld::change_limits(Words& words) {
  while (!words.empty()) {
    const auto name = words.next();
    if (name == "undecided")
      limits_.undecided = words.number();
    else if (name == "per-client")
      limits_.undecided_per_client = words.number();
    else if (name == "interactive")
      limits_.interactive_per_client = words.number();
    else if (name == "bytes")
      limits_.bytes = words.number();
    else if (name == "open")
      limits_.open = words.number();
    else if (name == "kept")
      limits_.kept_records = words.number();
    else if (name == "joined")
      limits_.joined_calls = words.number();
    else if (name == "ends-at-once")
      limits_.ends_at_once = words.number();
    else if (name == "redrives-at-once")
      limits_.redrives_at_once = words.number();
    else if (name == "retention")
      limits_.retention = read_duration(words.next());
    else if (name == "least-age")
      limits_.least_age = read_duration(words.next());
    else
      ADD_FAILURE() << "no limit '" << name << "'";
  }
}

void TableWorld::start() {
  table_.reset();
  asked_.clear();
  settles_.clear();
  auto acquired = ask_engine(store::AcquireEpoch{{7}, wall_, {}});
  table_.emplace(kScriptCluster, std::get<store::EpochAcquired>(acquired), limits_, 1);
  step(ServingStarted{});
}

void TableWorld::register_agent(Words& words) {
  RegistrationRequested requested{{900}, {words.next()}, {1}, "127.0.0.1:7001", {}, {}};
  EXPECT_TRUE(words.accept("registers"));
  std::string identity = "server-1";
  while (!words.empty()) {
    if (words.accept("as"))
      requested.incarnation = {words.number()};
    else if (words.accept("taking over"))
      requested.take_over.push_back({words.next()});
    else if (words.accept("on another server"))
      identity = "server-2";
    else
      requested.resources.push_back({{words.next()}, "postgres", {}});
  }
  for (auto& resource : requested.resources)
    resource.identity = identity;
  step(std::move(requested));
}

void TableWorld::execute(Words& words) {
  ExecuteRequested requested{{words.number()}, {}};
  auto& work = requested.work;
  work.client = "teller";
  std::string request_name;
  std::string content = "transfer";
  while (!words.empty()) {
    if (words.accept("request"))
      request_name = words.next();
    else if (words.accept("content"))
      content = words.next();
    else if (words.accept("client"))
      work.client = words.next();
    else if (words.accept("until decided"))
      work.acknowledgement = Acknowledgement::kDecided;
    else if (words.accept("within"))
      work.timeout = read_duration(words.next());
    else if (words.accept("bytes"))
      work.bytes = words.number();
    else if (words.accept("(read-only)"))
      work.branches.back().declared_read_only = true;
    else
      work.branches.push_back({{words.next()}, false});
  }
  work.digest = digest_of(content);
  if (!request_name.empty()) work.request = request(request_name, work.client);
  step(std::move(requested));
}

void TableWorld::begin(Words& words) {
  ExecuteRequested requested{{words.number()}, {}};
  auto& work = requested.work;
  work.client = "teller";
  work.interactive.emplace();
  work.interactive->options = std::make_shared<const std::string>();
  work.digest = digest_of("interactive");
  std::string request_name;
  while (!words.empty()) {
    if (words.accept("request"))
      request_name = words.next();
    else if (words.accept("client"))
      work.client = words.next();
    else if (words.accept("nameless"))
      work.client.clear();
    else if (words.accept("within"))
      work.timeout = read_duration(words.next());
    else if (words.accept("idle"))
      work.interactive->idle_timeout = read_duration(words.next());
    else if (words.accept("read-only"))
      work.interactive->read_only = true;
    else
      ADD_FAILURE() << "begin does not know '" << words.next() << "'";
  }
  if (!request_name.empty()) work.request = request(request_name, work.client);
  step(std::move(requested));
}

// statement CALL of TRANSACTION in RESOURCE number N [content X] [client C] [bytes B] [rows]
void TableWorld::statement(Words& words) {
  StatementRequested asked{{words.number()}, {}, "teller", {}, 0, {}, 0};
  EXPECT_TRUE(words.accept("of"));
  asked.transaction = read_id(words.next());
  EXPECT_TRUE(words.accept("in"));
  asked.resource = {words.next()};
  EXPECT_TRUE(words.accept("number"));
  asked.number = static_cast<std::uint32_t>(words.number());
  std::string content = fmt::format("statement {}", asked.number);
  bool rows = false;
  while (!words.empty()) {
    if (words.accept("content"))
      content = words.next();
    else if (words.accept("client"))
      asked.client = words.next();
    else if (words.accept("bytes"))
      asked.bytes = words.number();
    else if (words.accept("rows"))
      rows = true;
    else
      ADD_FAILURE() << "statement does not know '" << words.next() << "'";
  }
  if (!rows) asked.digest = digest_of(content);
  step(std::move(asked));
}

// answer to CALL is ROWS | refused | failed | lost | not sent
void TableWorld::answer_statement(Words& words) {
  const CallId call{words.number()};
  ASSERT_TRUE(statements_.contains(call)) << "statement " << call.value << " was not sent";
  const auto branch = statements_.at(call);
  EXPECT_TRUE(words.accept("is"));
  if (words.accept("lost")) {
    step(StatementFailed{branch, call, false, refusal(ErrorCode::kUnavailable, Effect::kUnknown, "reset")});
  } else if (words.accept("not sent")) {
    step(StatementFailed{branch, call, true,
                         refusal(ErrorCode::kUnavailable, Effect::kNone, "not connected")});
  } else if (words.accept("refused")) {
    step(StatementReplied{
        branch,
        call,
        {"", refusal(ErrorCode::kForbiddenStatement, Effect::kNone, "transaction control"), false}});
  } else if (words.accept("failed")) {
    step(StatementReplied{
        branch, call, {"", refusal(ErrorCode::kStatementFailed, Effect::kNone, "balance below zero"), true}});
  } else {
    step(StatementReplied{branch, call, {words.next(), std::nullopt, false}});
  }
}

void TableWorld::end_interactive(Words& words, bool commits) {
  CommitRequested commit{{words.number()}, {}, "teller", Acknowledgement::kApplied, {}};
  EXPECT_TRUE(words.accept("of"));
  commit.transaction = read_id(words.next());
  while (!words.empty()) {
    if (words.accept("client"))
      commit.client = words.next();
    else if (words.accept("until decided"))
      commit.acknowledgement = Acknowledgement::kDecided;
    else if (words.accept("within"))
      commit.timeout = read_duration(words.next());
    else
      ADD_FAILURE() << "an end does not know '" << words.next() << "'";
  }
  if (commits)
    step(std::move(commit));
  else
    step(RollbackRequested{commit.call, commit.transaction, commit.client});
}

void TableWorld::ask_status(Words& words) {
  StatusRequested requested{{words.number()}, {}, false, {}, std::chrono::seconds{5}};
  EXPECT_TRUE(words.accept("of"));
  if (words.accept("request"))
    requested.subject = request(words.next());
  else
    requested.subject = read_id(words.next());
  requested.bar = words.accept("bar");
  while (!words.empty())
    requested.resources.push_back({words.next()});
  step(std::move(requested));
}

void TableWorld::settle(const std::string& resource, Words& words) {
  auto& tickets = settles_[{resource}];
  ASSERT_FALSE(tickets.empty()) << resource << " has nothing to settle";
  SettleReplied replied{tickets.front(), read_end(words), std::nullopt, "as it says"};
  if (words.accept("as")) replied.committed_as = read_id(words.next());
  tickets.pop_front();
  step(std::move(replied));
}

void TableWorld::resolve(Words& words) {
  ResolveRequested requested{{800}, {}, {}, {}, false, "disk lost", "ann"};
  const auto branch = read_branch(words.next());
  requested.transaction = branch.transaction;
  requested.branch = branch.branch;
  EXPECT_TRUE(words.accept("in"));
  requested.resource = {words.next()};
  requested.commit = words.accept("as committed");
  EXPECT_TRUE(requested.commit || words.accept("as rolled back"));
  if (words.accept("without reason")) requested.reason.clear();
  step(std::move(requested));
}

bool TableWorld::tell(Words& words) {
  if (words.accept("execute")) {
    execute(words);
  } else if (words.accept("begin")) {
    begin(words);
  } else if (words.accept("statement")) {
    statement(words);
  } else if (words.accept("answer to")) {
    answer_statement(words);
  } else if (words.accept("commit")) {
    end_interactive(words, true);
  } else if (words.accept("roll back")) {
    end_interactive(words, false);
  } else if (words.accept("status")) {
    ask_status(words);
  } else if (words.accept("resolve")) {
    resolve(words);
  } else if (words.accept("inquiry about")) {
    step(InquiryReceived{{700}, read_branch(words.next())});
  } else if (words.accept("vote of")) {
    const auto branch = read_branch(words.next());
    if (words.accept("is lost"))
      step(PrepareFailed{branch, false, refusal(ErrorCode::kUnavailable, Effect::kUnknown, "reset")});
    else if (words.accept("was never asked for"))
      step(PrepareFailed{branch, true, refusal(ErrorCode::kUnavailable, Effect::kNone, "not connected")});
    else
      step(PrepareReplied{branch, read_vote(words)});
  } else if (words.accept("branch")) {
    const auto branch = read_branch(words.next());
    const auto end = read_end(words);
    step(CommitReplied{branch, end, "as its agent says"});
  } else if (words.accept("resource")) {
    const auto resource = words.next();
    EXPECT_TRUE(words.accept("says"));
    settle(resource, words);
  } else if (words.accept("shut down within")) {
    step(ShutdownRequested{read_duration(words.next())});
  } else if (words.accept("clock of request")) {
    const auto name = words.next();
    auto when = wall_;
    if (words.accept("behind by")) when -= read_duration(words.next());
    if (words.accept("ahead by")) when += read_duration(words.next());
    RequestId id;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count();
    for (int i = 0; i < 6; ++i)
      id.bytes[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
    id.bytes[15] = static_cast<std::uint8_t>(requests_.size());
    requests_[name] = id;
  } else if (words.accept("agent")) {
    const Words before = words;
    const auto agent = words.next();
    if (words.accept("connects as")) {
      step(AgentConnected{{agent}, {words.number()}});
    } else if (words.accept("is lost")) {
      step(AgentLost{{agent}});
    } else if (words.accept("took")) {
      EndedTaken taken{{agent}, {}};
      while (!words.empty())
        taken.transactions.push_back(read_id(words.next()));
      step(std::move(taken));
    } else {
      words = before;
      register_agent(words);
    }
  } else {
    return false;
  }
  return true;
}

void TableWorld::show(Words& words) {
  if (words.accept("watermark of")) {
    lines_.push_back(write_position(table_->watermark({words.next()})));
  } else if (words.accept("floor of")) {
    lines_.push_back(write_position(table_->floors(AgentId{words.next()}).transactions));
  } else if (words.accept("floor")) {
    lines_.push_back(write_position(table_->floors().transactions));
  } else if (words.accept("ended for")) {
    for (const auto& id : table_->ended_to_tell({words.next()}, 100))
      lines_.push_back(write_id(id));
  } else if (words.accept("open transactions")) {
    for (const auto& open : table_->open_transactions(clocks(), 100)) {
      std::string line = fmt::format("{} {}:", write_id(open.transaction), name_of(open.state));
      for (const auto& branch : open.branches)
        line += fmt::format(" {} {}", branch.resource.value, branch.state);
      lines_.push_back(line);
    }
  } else if (words.accept("backlogs")) {
    for (const auto& [resource, backlog] : table_->backlogs(clocks(), 100)) {
      lines_.push_back(fmt::format("{}: {} branches, oldest {} s", resource.value, backlog.branches,
                                   std::chrono::duration_cast<std::chrono::seconds>(backlog.oldest).count()));
    }
    const auto oldest = table_->counts().oldest_open;
    const auto age = oldest ? wall_ - *oldest : Duration{};
    lines_.push_back(
        fmt::format("oldest open {} s", std::chrono::duration_cast<std::chrono::seconds>(age).count()));
  } else if (words.accept("kept records")) {
    const auto counts = engine_.records().counts();
    lines_.push_back(fmt::format("open {}, ended {}, barred {}", counts.open, counts.ended, counts.barred));
  } else {
    ADD_FAILURE() << "not understood: '" << words.peek() << "'";
  }
}

// Time goes on; the table is called whenever it asked for it.
void TableWorld::pass(Duration time) {
  const auto until = now_ + time;
  while (table_->next_due() && *table_->next_due() <= until) {
    const auto due = std::max(*table_->next_due(), now_);
    wall_ += due - now_;
    now_ = due;
    step(TimePassed{});
    const auto next = table_->next_due();
    ASSERT_TRUE(!next || *next > now_) << "the table asks for a time that has passed";
  }
  wall_ += until - now_;
  now_ = until;
}

// ---- the world

void TableWorld::step(TableInput input) {
  for (auto& effect : table_->step(clocks(), std::move(input)))
    carry_out(std::move(effect));
  run_store();
}

void TableWorld::carry_out(TableEffect effect) {
  const auto line = write(effect);
  if (!line.empty()) lines_.push_back(line);
  if (auto* ask = std::get_if<AskStore>(&effect)) asked_.push_back(std::move(*ask));
  if (auto* settle = std::get_if<SendSettle>(&effect)) settles_[settle->resource].push_back(settle->ticket);
  if (auto* statement = std::get_if<SendStatement>(&effect))
    statements_[statement->call] = statement->to.branch;
}

void TableWorld::run_store() {
  while (!store_waits_ && !asked_.empty()) {
    auto ask = std::move(asked_.front());
    asked_.pop_front();
    auto answer = ask_engine(std::move(ask.request));
    for (auto& effect : table_->step(clocks(), StoreAnswered{ask.ticket, std::move(answer)}))
      carry_out(std::move(effect));
  }
}

store::StoreAnswer TableWorld::ask_engine(store::Request request) {
  std::optional<store::StoreAnswer> answer;
  const auto take = [&](std::vector<store::LocalEngine::Effect> effects) {
    std::optional<store::WriteNumber> written;
    for (auto& effect : effects) {
      if (auto* append = std::get_if<store::LocalEngine::Append>(&effect)) written = append->number;
      if (auto* answered = std::get_if<store::Answered>(&effect)) answer = std::move(answered->answer);
    }
    return written;
  };
  const auto written =
      take(engine_.step(store::Asked{{kFirstSilentTicket + ++last_engine_ticket_}, std::move(request)}));
  if (written) take(engine_.step(store::LocalEngine::WritesDurable{*written}));
  EXPECT_TRUE(answer);
  return answer.value_or(store::Unknown{});
}

RequestKey TableWorld::request(const std::string& name, const std::string& client) {
  if (!requests_.contains(name)) {
    Words made("clock of request " + name);
    tell(made);
  }
  return {client, requests_.at(name)};
}

BranchId TableWorld::read_branch(const std::string& word) {
  const auto slash = word.find('/');
  EXPECT_NE(slash, std::string::npos) << "'" << word << "' is no branch, like 1.2/1";
  return {read_id(word.substr(0, slash)), {static_cast<std::uint32_t>(std::stoul(word.substr(slash + 1)))}};
}

// ---- how it reads

std::string TableWorld::write_request(const RequestKey& key) {
  for (const auto& [name, id] : requests_)
    if (id == key.id) return name + (key.client == "teller" ? "" : " of " + key.client);
  return "an unknown request";
}

// Empty for what every start does.
std::string TableWorld::write(const store::Request& request) {
  if (const auto* choose = std::get_if<store::Choose>(&request)) {
    if (const auto* barred = std::get_if<store::BarredRecord>(&choose->record))
      return "choose barred " + write_request(barred->request);
    const auto& commit = std::get<store::CommitRecord>(choose->record);
    std::string text = "choose commit " + write_id(commit.transaction) + " of";
    for (const auto& branch : commit.branches)
      text += fmt::format(" {}:s{}", branch.branch.value, branch.resource.value);
    if (commit.request) text += " for " + write_request(*commit.request);
    return text;
  }
  if (const auto* lookup = std::get_if<store::Lookup>(&request)) {
    if (const auto* id = std::get_if<TransactionId>(&lookup->key)) return "look up " + write_id(*id);
    return "look up " + write_request(std::get<RequestKey>(lookup->key));
  }
  if (const auto* end = std::get_if<store::End>(&request)) {
    std::string text = "end";
    for (const auto& ended : end->ended)
      text += " " + write_id(ended.transaction) + (ended.heuristic ? " (heuristic)" : "");
    return text;
  }
  if (const auto* raise = std::get_if<store::RaiseFloors>(&request)) {
    // The request floor rises with every interval; only the transactions' is news.
    if (std::exchange(last_floor_, raise->floors.transactions) == raise->floors.transactions) return {};
    return "raise the floor to " + write_position(raise->floors.transactions);
  }
  if (const auto* resolve = std::get_if<store::Resolve>(&request))
    return "put on record: " + resolve->resolution.operator_name + ", " + resolve->resolution.reason;
  return {};
}

std::string TableWorld::write(const TableEffect& effect) {
  return std::visit(
      [&](const auto& e) -> std::string {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, SendPrepare>) {
          return fmt::format("{} <- {}prepare {}{}, for incarnation {}{}", e.to.agent.value,
                             e.one_phase ? "one-phase " : "", write_to(e.to),
                             e.request ? ", " + write_request(*e.request) : "", e.incarnation.value,
                             e.statements ? fmt::format(", {} statements", *e.statements) : "");
        } else if constexpr (std::is_same_v<E, SendStatement>) {
          return fmt::format("{} <- statement {} of call {}, {}{}, for incarnation {}", e.to.agent.value,
                             e.number, e.call.value, write_to(e.to),
                             e.request ? ", " + write_request(*e.request) : "", e.incarnation.value);
        } else if constexpr (std::is_same_v<E, AnswerStatement>) {
          return fmt::format("answer statement {}: {}{}", e.call.value,
                             e.result ? *e.result : write_error(e.result.error()), e.over ? ", over" : "");
        } else if constexpr (std::is_same_v<E, SendCommit>) {
          return fmt::format("{} <- commit {}", e.to.agent.value, write_to(e.to));
        } else if constexpr (std::is_same_v<E, SendRollback>) {
          return fmt::format("{} <- roll back {}", e.to.agent.value, write_to(e.to));
        } else if constexpr (std::is_same_v<E, SendRelease>) {
          return fmt::format("{} <- release {}", e.to.agent.value, write_to(e.to));
        } else if constexpr (std::is_same_v<E, SendSettle>) {
          const auto what = e.branch ? write_branch(*e.branch) : "request " + write_request(*e.request);
          return fmt::format("{} <- settle {} in {}, above {}", e.agent.value, what, e.resource.value,
                             write_position(e.watermark));
        } else if constexpr (std::is_same_v<E, AskStore>) {
          const auto text = write(e.request);
          return text.empty() ? text : "store <- " + text;
        } else if constexpr (std::is_same_v<E, AnswerExecute>) {
          return fmt::format("answer {}: {}", e.call.value, write_answer(e.answer));
        } else if constexpr (std::is_same_v<E, AnswerStatus>) {
          if (!e.report) return fmt::format("status {}: {}", e.call.value, write_error(e.report.error()));
          const auto& report = *e.report;
          return fmt::format("status {}: {}{}", e.call.value, name_of(report.state),
                             report.transaction ? " " + write_id(*report.transaction) : "");
        } else if constexpr (std::is_same_v<E, AnswerInquiry>) {
          switch (e.decision) {
            case InquiryDecision::kCommit: return "inquiry: commit";
            case InquiryDecision::kAbort: return "inquiry: abort";
            case InquiryDecision::kUndecided: return "inquiry: undecided";
            case InquiryDecision::kTooOld: return "inquiry: too old";
          }
          return {};
        } else if constexpr (std::is_same_v<E, AnswerRegistration>) {
          if (!e.numbers) return "registration: " + write_error(e.numbers.error());
          std::string text = "registration:";
          for (const auto& [name, number] : *e.numbers)
            text += fmt::format(" {}=s{}", name.value, number.value);
          return text;
        } else if constexpr (std::is_same_v<E, AnswerResolve>) {
          if (!e.report) return "resolve: " + write_error(e.report.error());
          return fmt::format("resolve: {}; {}", name_of(e.report->state), e.report->detail);
        } else if constexpr (std::is_same_v<E, SendResolve>) {
          return fmt::format("{} <- end {}/{} in {} by hand as {}, then resolve: {}; {}", e.agent.value,
                             write_id(e.branch.transaction), e.branch.branch.value, e.resource.value,
                             e.commit ? "committed" : "rolled back", name_of(e.report.state),
                             e.report.detail);
        } else if constexpr (std::is_same_v<E, StopServing>) {
          return fmt::format("stop serving: {}", name_of(e.reason.code));
        } else {
          return "drain finished";
        }
      },
      effect);
}

}  // namespace troth::coordinator
