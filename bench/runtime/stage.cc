#include "bench/runtime/stage.h"

#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace troth::bench {
namespace {

using Json = nlohmann::json;

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!(text << file.rdbuf()))
    return fail(ErrorCode::kIo, Effect::kNone, fmt::format("cannot read {}", path));
  return text.str();
}

Result<DatabaseAddress> database_of(const Json& json) {
  DatabaseAddress address;
  address.host = json.at("host");
  address.port = json.at("port");
  address.database = json.at("database");
  address.user = json.at("user");
  auto password = read_text(json.at("password_file"));
  if (!password) return std::unexpected(password.error());
  address.password = password->substr(0, password->find('\n'));
  return address;
}

Result<Stage> stage_of(const Json& json) {
  Stage stage;
  stage.databases = json.at("databases");
  stage.accounts = json.at("accounts");
  auto postgres = database_of(json.at("postgres"));
  if (!postgres) return std::unexpected(postgres.error());
  stage.postgres = *postgres;
  auto mysql = database_of(json.at("mysql"));
  if (!mysql) return std::unexpected(mysql.error());
  stage.mysql = *mysql;
  if (json.contains("troth")) {
    const Json& troth = json.at("troth");
    stage.troth = TrothAddress{.host = troth.at("host"),
                               .port = troth.at("port"),
                               .postgres_resource = troth.at("postgres_resource"),
                               .mysql_resource = troth.at("mysql_resource")};
  }
  for (const Json& process : json.at("processes"))
    stage.processes.push_back({.name = process.at("name"), .pid = process.at("pid")});
  return stage;
}

}  // namespace

Result<Stage> read_stage(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return std::unexpected(text.error());
  try {
    return stage_of(Json::parse(*text));
  } catch (const Json::exception& error) {
    return fail(ErrorCode::kInvalidArgument, Effect::kNone,
                fmt::format("{} does not describe servers as bench/runtime/transfer.py does: {}", path,
                            error.what()));
  }
}

}  // namespace troth::bench
