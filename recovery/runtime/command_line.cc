#include "recovery/runtime/command_line.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/version.h"
#include "recovery/runtime/values.h"

namespace troth::recovery {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done; 1 refused, nothing was changed; 2 command line; 3 unknown whether it happened;\n"
    "            4 unreachable, nothing was changed; 5 an operator should look; 6 done, though the call "
    "failed;\n            7 all works, and something should be mended (doctor)";

constexpr const char* kTlsExample =
    "With TLS, which every cluster has that is more than one machine:\n"
    "  troth --coordinator db7:7710 --tls-ca ca.pem --tls-certificate alice.pem --tls-key alice.key "
    "resources";

// What CLI11 writes into while it parses; afterwards one of the commands is taken out.
struct Parsed {
  Invocation invocation;
  std::optional<Command> command;
};

using Choose = std::function<void(Command)>;

CLI::App* add_command(CLI::App& app, const char* name, const char* purpose, const std::string& examples) {
  auto* command = app.add_subcommand(name, purpose);
  command->footer(fmt::format("Examples:\n{}\n\n{}", examples, kExitCodes));
  command->fallthrough();
  return command;
}

CLI::Option* add_reason(CLI::App* command, std::string& reason) {
  return command->add_option("--reason", reason, "Why; goes to the audit trail")
      ->required()
      ->type_name("TEXT")
      ->check([](const std::string& text) { return text.empty() ? std::string("must not be empty") : ""; });
}

// ---- execute

// The options that belong to what stands before them on the command line.
struct WorkOptions {
  std::vector<std::pair<std::string, std::string>> on;
  std::vector<std::string> parameters;
  std::vector<std::int64_t> expect_rows;
  std::vector<std::int64_t> expect_at_least;
  int read_only = 0;
  CLI::Option* on_option = nullptr;
  CLI::Option* parameter_option = nullptr;
  CLI::Option* expect_rows_option = nullptr;
  CLI::Option* expect_at_least_option = nullptr;
  CLI::Option* read_only_option = nullptr;
};

// Statements for one resource are one branch, wherever they stand.
BranchSpec& branch_for(std::vector<BranchSpec>& branches, const std::string& resource) {
  const auto found = std::ranges::find(branches, resource, &BranchSpec::resource);
  if (found != branches.end()) return *found;
  return branches.emplace_back(BranchSpec{.resource = resource});
}

// Gives each parameter and expectation to the statement before it.
std::vector<BranchSpec> collect_work(const CLI::App& command, const WorkOptions& options) {
  std::vector<BranchSpec> branches;
  BranchSpec* branch = nullptr;
  std::size_t on_words = 0, parameter = 0, rows = 0, at_least = 0;
  for (const CLI::Option* option : command.parse_order()) {
    const bool needs_statement = option == options.parameter_option || option == options.expect_rows_option ||
                                 option == options.expect_at_least_option ||
                                 option == options.read_only_option;
    if (needs_statement && branch == nullptr)
      throw CLI::ValidationError(option->get_name(),
                                 "stands before any --on: it belongs to the one before it");
    if (option == options.on_option) {
      // CLI11 names the option once for each of its two words.
      if (++on_words % 2 == 1) continue;
      const auto& [resource, sql] = options.on[on_words / 2 - 1];
      branch = &branch_for(branches, resource);
      branch->statements.push_back({.sql = sql});
    } else if (option == options.parameter_option) {
      branch->statements.back().parameters.push_back(options.parameters[parameter++]);
    } else if (option == options.expect_rows_option) {
      branch->statements.back().expect_rows = options.expect_rows[rows++];
    } else if (option == options.expect_at_least_option) {
      branch->statements.back().expect_at_least = options.expect_at_least[at_least++];
    } else if (option == options.read_only_option) {
      branch->read_only = true;
    }
  }
  return branches;
}

IsolationWish isolation_named(std::string_view word) {
  if (word == "read-committed") return IsolationWish::kReadCommitted;
  if (word == "repeatable-read") return IsolationWish::kRepeatableRead;
  if (word == "serializable") return IsolationWish::kSerializable;
  return IsolationWish::kServer;
}

CLI::Option* add_isolation(CLI::App* command, std::string& choice) {
  return command->add_option("--isolation", choice, "Of every branch")
      ->check(CLI::IsMember({"server", "read-committed", "repeatable-read", "serializable"}))
      ->type_name("server|read-committed|repeatable-read|serializable");
}

void add_execute(CLI::App& app, const Choose& choose) {
  auto* command = add_command(
      app, "execute", "Run statements in several resources: all of them commit, or none",
      "  troth execute --on accounts_pg 'UPDATE account SET cents = cents - $1 WHERE id = $2' \\\n"
      "                   --param int:1000 --param int:1 --expect-rows 1 \\\n"
      "                --on accounts_my 'UPDATE account SET cents = cents + ? WHERE id = ?' \\\n"
      "                   --param int:1000 --param int:2 --expect-rows 1\n"
      "  troth execute --on accounts_pg 'SELECT * FROM account' --read-only\n"
      "Parameters: null int:-5 uint:5 bool:true float:0.5 decimal:12.50 text:'any text' bytes:00ff\n"
      "            date:2026-11-23 time:13:37:00.5 timestamp:'2026-11-23 13:37:00'\n"
      "            timestamptz:'2026-11-23 13:37:00+01:00' json:'{\"a\": 1}'\n"
      "            uuid:01890a5d-ac96-774b-bcce-b302099a8057; arrays (Postgres) of each, as JSON:\n"
      "            int[]:'[1, null, 3]' decimal[]:'[\"12.50\"]' text[]:'[[\"a\"], [\"b\"]]'\n"
      "Types: " +
          parameter_types());
  const auto spec = std::make_shared<ExecuteCommand>();
  const auto work = std::make_shared<WorkOptions>();
  const auto one_each = [](CLI::Option* option) {
    return option->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  work->on_option = one_each(command->add_option("--on", work->on, "A statement in a resource; repeatable"))
                        ->type_name("RESOURCE SQL")
                        ->required();
  work->parameter_option = one_each(command->add_option("--param", work->parameters,
                                                        "The next parameter of the statement before it"))
                               ->type_name("TYPE:VALUE");
  work->expect_rows_option =
      one_each(
          command->add_option("--expect-rows", work->expect_rows,
                              "The statement before it must touch exactly so many rows, or nothing commits"))
          ->check(CLI::NonNegativeNumber);
  work->expect_at_least_option =
      one_each(command->add_option("--expect-at-least", work->expect_at_least, "The same, at least"))
          ->check(CLI::NonNegativeNumber);
  work->read_only_option = command->add_flag("--read-only", work->read_only,
                                             "The resource before it is only read; the database enforces it");
  command->add_option(
      "--request-id", spec->request_id,
      "UUIDv7: at most one commit for it and the client name; made and printed when left out");
  command->add_option("--client-name", spec->client_name,
                      "Part of the request's key; else the name in the certificate, or troth");
  command->add_option("--label", spec->label, "For people; shown by status");
  const auto choices = std::make_shared<std::pair<std::string, std::string>>("applied", "server");
  command
      ->add_option("--acknowledge", choices->first,
                   "Answer when every branch has committed (applied), or when commit is decided")
      ->check(CLI::IsMember({"applied", "decided"}))
      ->type_name("applied|decided");
  add_isolation(command, choices->second);
  command->add_option("--timeout-ms", spec->timeout_ms, "Of the whole transaction")
      ->check(CLI::PositiveNumber);
  command->add_option("--statement-timeout-ms", spec->statement_timeout_ms, "Of each statement")
      ->check(CLI::PositiveNumber);
  command->add_option("--max-rows", spec->max_rows, "Returned by each statement; more is an error")
      ->check(CLI::PositiveNumber);
  command->final_callback([=] {
    spec->branches = collect_work(*command, *work);
    spec->acknowledge = choices->first == "decided" ? Acknowledge::kDecided : Acknowledge::kApplied;
    spec->isolation = isolation_named(choices->second);
    choose(*spec);
  });
}

// ---- shell

void add_shell(CLI::App& app, const Choose& choose) {
  auto* command = add_command(
      app, "shell",
      "Work interactively in several resources: what is committed is committed in all, or in none",
      "  troth shell --on accounts_pg\n"
      "    bank accounts_pg> UPDATE account SET cents = cents - 700 WHERE id = 1;\n"
      "    bank accounts_pg*> accounts_my: UPDATE account SET cents = cents + 700 WHERE id = 2;\n"
      "    bank accounts_pg*> COMMIT;\n"
      "  troth shell < transfer.sql            (stops at the first error, with its exit code)\n"
      "  echo 'SELECT 1; ROLLBACK;' | troth shell --on accounts_pg --json   (one object a line)\n"
      "\\help inside lists its commands. On a terminal each line that is typed is kept, as typed, in\n"
      "$XDG_STATE_HOME/troth/shell_history (~/.local/state/troth/shell_history): the newest 1000, readable\n"
      "by you alone. With --no-history nothing is kept.");
  const auto spec = std::make_shared<ShellCommand>();
  const auto isolation = std::make_shared<std::string>("server");
  const auto no_history = std::make_shared<bool>(false);
  command->add_option("--client-name", spec->client_name, "Whose transactions they are")
      ->capture_default_str();
  add_isolation(command, *isolation);
  command->add_flag("--read-only", spec->read_only, "Nothing is written; the databases enforce it");
  command
      ->add_option(
          "--timeout-ms", spec->timeout_ms,
          "Of each transaction, from its begin to its end; on a terminal 1800000 when left out, else the "
          "coordinator's")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--idle-timeout-ms", spec->idle_timeout_ms,
                   "The longest pause between two statements; on a terminal 300000 when left out, else the "
                   "coordinator's")
      ->check(CLI::PositiveNumber);
  command->add_option("--on", spec->on, "The resource of statements that name none")->type_name("RESOURCE");
  command->add_flag("--keep-going", spec->keep_going,
                    "Not a terminal: after an error roll back, and go on with the next transaction");
  command->add_flag("--no-history", *no_history, "Keep nothing of what is typed");
  command->final_callback([=] {
    spec->isolation = isolation_named(*isolation);
    spec->history = !*no_history;
    choose(*spec);
  });
}

// ---- the questions

void add_status(CLI::App& app, const Choose& choose) {
  auto* command =
      add_command(app, "status", "What became of a transaction or a request",
                  "  troth status bank-x7k2p9.3.1042\n"
                  "  troth status --request-id 0192f0c1-2b3c-7d4e-8f50-0123456789ab\n"
                  "  troth status --request-id ... --bar --resource accounts_pg\n"
                  "     makes sure that the request never commits, then says so; name each resource\n"
                  "     in which it may have been the only writing branch");
  const auto spec = std::make_shared<StatusCommand>();
  auto* id = command->add_option("transaction", spec->transaction, "Transaction id");
  auto* request =
      command->add_option("--request-id", spec->request_id, "Instead of a transaction id")->excludes(id);
  command->add_option("--client-name", spec->client_name,
                      "With --request-id; else the name in the certificate, or troth");
  auto* bar =
      command->add_flag("--bar", spec->bar, "Make sure that the request never commits")->needs(request);
  command->add_option("--resource", spec->bar_resources, "With --bar; repeatable")->needs(bar);
  command->add_option("--timeout-ms", spec->timeout_ms, "How long to wait")->check(CLI::PositiveNumber);
  command->final_callback([=] {
    if (spec->transaction.empty() && spec->request_id.empty())
      throw CLI::RequiredError("a transaction id, or --request-id");
    choose(*spec);
  });
}

void add_in_doubt(CLI::App& app, const Choose& choose) {
  auto* command = add_command(app, "in-doubt", "What is open, why, and what would end it",
                              "  troth in-doubt\n"
                              "  troth in-doubt --older-than-ms 60000 --json");
  const auto spec = std::make_shared<InDoubtCommand>();
  command->add_option("--older-than-ms", spec->older_than_ms, "Leave out what is younger")
      ->check(CLI::NonNegativeNumber);
  command->final_callback([=] { choose(*spec); });
}

void add_resources(CLI::App& app, const Choose& choose) {
  auto* command = add_command(app, "resources", "The cluster, its resources and their health",
                              "  troth resources\n  troth resources --json");
  command->final_callback([=] { choose(ResourcesCommand{}); });
}

// ---- the ways out

void add_resolve(CLI::App& app, const Choose& choose) {
  auto* command =
      add_command(app, "resolve", "End one branch by hand: a heuristic decision, recorded with its reason",
                  "  troth resolve bank-x7k2p9.3.1042 --branch 2 --commit --reason 'ticket 4711: disk lost'");
  const auto spec = std::make_shared<ResolveCommand>();
  const auto commit = std::make_shared<bool>(false);
  const auto rollback = std::make_shared<bool>(false);
  command->add_option("transaction", spec->transaction, "Transaction id")->required();
  command->add_option("--branch", spec->branch, "Its number, from 1")->required()->check(CLI::PositiveNumber);
  auto* resource =
      command->add_option("--resource", spec->resource, "Needed only when nobody lists the branch");
  auto* commit_flag = command->add_flag("--commit", *commit, "Commit the branch");
  command->add_flag("--rollback", *rollback, "Roll the branch back")->excludes(commit_flag);
  command
      ->add_option(
          "--agent", spec->agent,
          "Ask this agent itself, while no coordinator runs; needs --resource, and knows no decision")
      ->type_name("HOST:PORT")
      ->needs(resource);
  command->add_flag("--against-decision", spec->against_decision,
                    "Also when the decision is known to be the opposite: the resources will disagree");
  add_reason(command, spec->reason);
  command->final_callback([=] {
    if (!*commit && !*rollback) throw CLI::RequiredError("--commit or --rollback");
    spec->wish = *commit ? Wish::kCommit : Wish::kRollback;
    choose(*spec);
  });
}

void add_resource(CLI::App& app, const Choose& choose) {
  auto* group = app.add_subcommand("resource", "Change who serves a resource");
  group->require_subcommand(1);
  group->fallthrough();
  auto* command =
      add_command(*group, "take-over", "Make an agent the owner of a resource that another one owned",
                  "  troth resource take-over accounts_pg --agent 10.0.0.7:7402 --reason 'host lost'\n"
                  "The agent raises the owner row, ends the old owner's sessions, then serves.");
  const auto spec = std::make_shared<TakeOverCommand>();
  command->add_option("resource", spec->resource, "Its name")->required();
  command->add_option("--agent", spec->agent, "The agent that is to own it; its configuration names it")
      ->required()
      ->type_name("HOST:PORT");
  add_reason(command, spec->reason);
  command->final_callback([=] { choose(*spec); });
}

void add_new_reign(CLI::App& group, const Choose& choose) {
  auto* command = add_command(
      group, "new-reign", "Give a coordinator that was set back an epoch above all agents'",
      "  troth cluster new-reign /var/lib/troth/coordinator --agent 10.0.0.7:7402 \\\n"
      "        --agent 10.0.0.8:7402 --reason 'restored from the backup of 03:00'\n"
      "  troth cluster new-reign /var/lib/troth/coordinator --above 17 --reason ...\n"
      "Acts on the data directory of a stopped coordinator. Commits that the agents have journalled\n"
      "stay; what was decided after the backup and reached no agent is gone.");
  const auto spec = std::make_shared<NewReignCommand>();
  command->add_option("directory", spec->data_directory, "The coordinator's data directory")->required();
  command->add_option("--above", spec->above, "The new epoch is above this one")->check(CLI::PositiveNumber);
  command->add_option("--agent", spec->agents, "... and above what this agent has seen; name all of them")
      ->type_name("HOST:PORT");
  command->add_flag("--roll-back-undecided", spec->roll_back_undecided,
                    "Also when held branches have no record in the restored store");
  add_reason(command, spec->reason);
  command->final_callback([=] {
    if (spec->above == 0 && spec->agents.empty()) throw CLI::RequiredError("--above, or each --agent");
    choose(*spec);
  });
}

void add_cluster_init(CLI::App& group, const Choose& choose) {
  auto* command = add_command(
      group, "init", "Make the data directory of a coordinator of a group, also of one that was alone",
      "  troth cluster init --config /etc/troth/coordinator.toml --name bank             # the first of all\n"
      "  troth cluster init --config /etc/troth/coordinator.toml --cluster bank-x7k2p9   # another one\n"
      "  troth cluster init --config /etc/troth/coordinator.toml --from-local\n"
      "The last one turns the stopped coordinator of that data directory into the only replica of a group,\n"
      "with every decision that it has; then `troth cluster add` adds the others.");
  const auto spec = std::make_shared<InitClusterCommand>();
  command->add_option("--config", spec->config, "The coordinator's configuration; has [group]")
      ->required()
      ->type_name("FILE");
  auto* which = command->add_option_group("which cluster");
  which->add_option("--name", spec->name, "A new one: the name that its id begins with");
  which->add_option("--cluster", spec->cluster, "The id of one that there is");
  which->add_flag("--from-local", spec->from_local,
                  "That of the data directory, whose coordinator was alone");
  which->require_option(1);
  command->final_callback([=] { choose(*spec); });
}

void add_cluster_status(CLI::App& group, const Choose& choose) {
  auto* command =
      add_command(group, "status", "Who belongs to the group, who leads, and how far each has come",
                  "  troth cluster status\n"
                  "  troth --coordinator c1:7710,c2:7710,c3:7710 cluster status --watch\n"
                  "  troth cluster status --watch --count 60 --json\n"
                  "Each coordinator is asked by itself. Exit code 5: not all is well.");
  const auto spec = std::make_shared<ClusterStatusCommand>();
  const auto interval_ms = std::make_shared<std::int64_t>(spec->interval.count());
  auto* watch = command->add_flag("--watch", spec->watch, "Again and again, until it is interrupted");
  command->add_option("--interval-ms", *interval_ms, "Between two looks")
      ->needs(watch)
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{3'600'000}));
  command->add_option("--count", spec->count, "So many looks")->needs(watch)->check(CLI::PositiveNumber);
  command->final_callback([=] {
    spec->interval = std::chrono::milliseconds(*interval_ms);
    choose(*spec);
  });
}

CLI::Option* add_replica(CLI::App* command, const char* name, std::uint32_t& replica, const char* what) {
  return command->add_option(name, replica, what)->required()->check(CLI::PositiveNumber);
}

// What all changes of members have in common.
void add_change(CLI::App* command, const std::shared_ptr<ChangeClusterCommand>& spec,
                const std::shared_ptr<bool>& only_learns, const Choose& choose) {
  const auto timeout_s = std::make_shared<std::int64_t>(spec->timeout.count());
  command->add_option("--timeout", *timeout_s, "Seconds to wait for it; the same command goes on later")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_flag("--majorities", spec->may_become_majorities,
                    "Also where quorums of other sizes become majorities by it");
  add_reason(command, spec->reason);
  command->final_callback([=] {
    spec->timeout = std::chrono::seconds(*timeout_s);
    if (*only_learns) spec->wish.kind = GroupWish::Kind::kAddLearner;
    choose(*spec);
  });
}

void add_cluster_changes(CLI::App& group, const Choose& choose) {
  const auto change = [](GroupWish::Kind kind) {
    auto spec = std::make_shared<ChangeClusterCommand>();
    spec->wish.kind = kind;
    return spec;
  };
  const auto only_learns = std::make_shared<bool>(false);
  const auto never = std::make_shared<bool>(false);

  auto* add = add_command(group, "add", "Add a replica: it learns what is chosen, then it votes",
                          "  troth cluster add 4 --reason 'ticket 4711: a fourth machine'\n"
                          "It runs, and every coordinator's file lists it in [[replicas]].");
  const auto added = change(GroupWish::Kind::kAdd);
  add_replica(add, "replica", added->wish.replica, "Its number");
  add->add_flag("--learner", *only_learns, "It learns, and gets no vote");
  add_change(add, added, only_learns, choose);

  auto* remove = add_command(group, "remove", "Remove a replica, also one that is gone",
                             "  troth cluster remove 2 --reason 'machine c2 is retired'\n"
                             "Refused where those that are left would be no quorum. Stop it afterwards.");
  const auto removed = change(GroupWish::Kind::kRemove);
  add_replica(remove, "replica", removed->wish.replica, "Its number");
  add_change(remove, removed, never, choose);

  auto* replace =
      add_command(group, "replace", "Give the vote of one replica, also of one that is gone, to a new one",
                  "  troth cluster replace 2 4 --reason 'the disk of c2 is lost'\n"
                  "The new one learns, votes beside the old one, and then the old one goes.");
  const auto replaced = change(GroupWish::Kind::kReplace);
  add_replica(replace, "old", replaced->wish.replica, "The number of the one that goes");
  add_replica(replace, "new", replaced->wish.by, "The number of the one that comes");
  add_change(replace, replaced, never, choose);

  auto* transfer = add_command(group, "transfer", "Let another replica lead; nothing is aborted for it",
                               "  troth cluster transfer 2 --reason 'c1 is to be restarted'");
  const auto transferred = std::make_shared<TransferLeadCommand>();
  add_replica(transfer, "replica", transferred->to, "The number of the one that is to lead");
  add_reason(transfer, transferred->reason);
  transfer->final_callback([=] { choose(*transferred); });
}

void add_cluster(CLI::App& app, const Choose& choose) {
  auto* group = app.add_subcommand("cluster", "A group of coordinators: who belongs to it, and who leads");
  group->require_subcommand(1);
  group->fallthrough();
  add_cluster_init(*group, choose);
  add_cluster_status(*group, choose);
  add_cluster_changes(*group, choose);
  add_new_reign(*group, choose);
}

// ---- logs and installation

void add_log(CLI::App& app, const Choose& choose) {
  auto* group = app.add_subcommand("log", "Look at a log directory, read-only, while its owner runs or not");
  group->require_subcommand(1);
  group->fallthrough();
  const auto add = [&](const char* name, const char* purpose, LogCommand::What what) {
    auto* command = add_command(*group, name, purpose,
                                fmt::format("  troth log {} /var/lib/troth/coordinator/log", name).c_str());
    const auto spec = std::make_shared<LogCommand>();
    spec->what = what;
    command->add_option("directory", spec->directory, "The log directory")->required();
    command->final_callback([=] { choose(*spec); });
  };
  add("verify", "Check every byte, and say what opening it would come to", LogCommand::What::kVerify);
  add("dump", "Print every segment, batch and record", LogCommand::What::kDump);
}

void add_installation(CLI::App& app, const Choose& choose, bool uninstall) {
  const char* name = uninstall ? "uninstall" : "install";
  auto* command = add_command(
      app, name,
      uninstall ? "Remove Troth's tables from a resource"
                : "Make Troth's tables in a resource, or bring older ones up to date",
      fmt::format(
          "  troth {0} accounts_pg --agent-config /etc/troth/agent.toml --admin-user postgres \\\n"
          "        --admin-password-file /root/pg-password\n"
          "  troth {0} accounts_pg --agent-config /etc/troth/agent.toml --print   (for DBAs: as a script)\n"
          "The agent's role itself is made before, by a DBA: nobody else uses it.",
          name)
          .c_str());
  const auto spec = std::make_shared<InstallCommand>();
  spec->uninstall = uninstall;
  command->add_option("resource", spec->resource, "Its name in the agent's configuration")->required();
  command->add_option("--agent-config", spec->agent_config, "The agent's configuration file")->required();
  command->add_option("--role-host", spec->role_host, "MySQL, MariaDB: the host part of the agent's account")
      ->capture_default_str();
  auto* print = command->add_flag("--print", spec->print, "Print the statements, and change nothing");
  auto* user = command->add_option("--admin-user", spec->admin_user,
                                   "A database role that may create tables and grant");
  user->excludes(print);
  auto* file =
      command->add_option("--admin-password-file", spec->admin_password.file, "Where its password is");
  command
      ->add_option("--admin-password-env", spec->admin_password.environment,
                   "Or: the environment variable that holds it")
      ->excludes(file);
  command->add_option("--reason", spec->reason, "Why, for the audit trail")->type_name("TEXT");
  command->final_callback([=] {
    if (!spec->print && spec->admin_user.empty()) throw CLI::RequiredError("--admin-user (or --print)");
    if (uninstall && !spec->print && spec->reason.empty()) throw CLI::RequiredError("--reason");
    choose(*spec);
  });
}

// ---- doctor

void add_doctor(CLI::App& app, const Choose& choose) {
  auto* command = add_command(
      app, "doctor", "Examine databases, directories, clocks and the cluster, and say what mends them",
      "  troth doctor --config /etc/troth/agent.toml\n"
      "  troth doctor --config /etc/troth/agent.toml accounts_pg --coordinator 10.0.0.5:7710\n"
      "  troth doctor --config /etc/troth/coordinator.toml\n"
      "  troth doctor --log /var/lib/troth/coordinator/log\n"
      "Exit code 0: nothing, or notes; 7: warnings; 5: errors. It changes nothing. All findings: --list.");
  const auto spec = std::make_shared<DoctorCommand>();
  auto* config =
      command->add_option("--config", spec->config, "An agent's or a coordinator's configuration file");
  command->add_option("resource", spec->resources, "Of an agent's resources only these")->needs(config);
  command->add_option("--log", spec->log, "A log directory")->excludes(config);
  command
      ->add_option("--older-than-ms", spec->older_than_ms,
                   "What is prepared, or in doubt, for longer is told")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--list", spec->list, "Print everything that can be found, as docs/doctor.md has it");
  command->final_callback([=] { choose(*spec); });
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::variant<Invocation, NothingToRun> parse_command_line(std::vector<std::string> words) {
  CLI::App app{"Operates Troth: transactions over several databases that commit everywhere or nowhere.",
               "troth"};
  app.set_version_flag("--version", fmt::format("troth {}", troth_version()));
  app.footer(fmt::format("{}\n`troth COMMAND --help` shows examples.\n{}", kTlsExample, kExitCodes));
  Invocation invocation;
  invocation.around.coordinator = environment("TROTH_COORDINATOR");
  auto& tls = invocation.around.tls_files;
  tls = {environment("TROTH_TLS_CA"), environment("TROTH_TLS_CERTIFICATE"), environment("TROTH_TLS_KEY")};
  app.add_option("--coordinator", invocation.around.coordinator,
                 "Also: environment variable TROTH_COORDINATOR. Of a group several, with commas between")
      ->type_name("HOST:PORT");
  app.add_option("--operator", invocation.around.operator_name,
                 "Who asks, for the audit trail; else the name in the certificate, or your login name");
  app.add_option("--tls-ca", tls.ca, "The CA of the cluster's certificates. Also: TROTH_TLS_CA")
      ->type_name("FILE");
  app.add_option("--tls-certificate", tls.certificate, "Your own certificate. Also: TROTH_TLS_CERTIFICATE")
      ->type_name("FILE");
  app.add_option("--tls-key", tls.key, "Its private key. Also: TROTH_TLS_KEY")->type_name("FILE");
  app.add_flag("--json", invocation.json, "Answer with JSON on standard output");

  std::optional<Command> chosen;
  const Choose choose = [&chosen](Command command) { chosen = std::move(command); };
  add_execute(app, choose);
  add_shell(app, choose);
  add_status(app, choose);
  add_in_doubt(app, choose);
  add_resources(app, choose);
  add_resolve(app, choose);
  add_resource(app, choose);
  add_cluster(app, choose);
  add_log(app, choose);
  add_installation(app, choose, false);
  add_installation(app, choose, true);
  add_doctor(app, choose);

  std::ranges::reverse(words);  // CLI11 takes them from the back
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& stop) {
    std::ostringstream output, errors;
    const bool asked = app.exit(stop, output, errors) == 0;
    return NothingToRun{asked ? ExitCode::kDone : ExitCode::kUsage, output.str(), errors.str()};
  }
  if (!chosen) return NothingToRun{ExitCode::kUsage, "", "a command is missing; `troth --help` lists them\n"};
  invocation.command = std::move(*chosen);
  return invocation;
}

}  // namespace troth::recovery
