#include "tests/sim/tool/outcome_line.h"

#include <nlohmann/json.hpp>

namespace troth::sim {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

std::string line_of(const Outcome& outcome) {
  Json json;
  json["seed"] = outcome.seed;
  json["hash"] = outcome.hash;
  json["events"] = outcome.events;
  json["virtual_us"] = outcome.virtual_time.count();
  json["transfers"] = outcome.transfers;
  json["committed"] = outcome.committed;
  json["broken"] = outcome.broken;
  json["strikes"] = outcome.strikes;
  json["faults"] = outcome.faults;
  json["rare"] = outcome.rare;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Outcome outcome_of(std::string_view line) {
  const auto json = Json::parse(line);
  Outcome outcome;
  json.at("seed").get_to(outcome.seed);
  json.at("hash").get_to(outcome.hash);
  json.at("events").get_to(outcome.events);
  outcome.virtual_time = Duration(json.at("virtual_us").get<std::int64_t>());
  json.at("transfers").get_to(outcome.transfers);
  json.at("committed").get_to(outcome.committed);
  json.at("broken").get_to(outcome.broken);
  json.at("strikes").get_to(outcome.strikes);
  json.at("faults").get_to(outcome.faults);
  json.at("rare").get_to(outcome.rare);
  return outcome;
}

}  // namespace troth::sim
