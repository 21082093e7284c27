#include "reports/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <map>
#include <nlohmann/json.hpp>

#include "reports/json.h"
#include "reports/statistics.h"

namespace hobbs {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kBusyTimeoutMs = 30'000;

/// Step n takes a file from version n to n + 1. A step that has been released never changes.
constexpr const char* kMigrations[] = {R"sql(
  CREATE TABLE runs(id INTEGER PRIMARY KEY, command TEXT NOT NULL, started TEXT NOT NULL,
                    machine TEXT NOT NULL, context TEXT NOT NULL);
  CREATE TABLE cases(id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES runs(id),
                     lock TEXT NOT NULL, scenario TEXT NOT NULL, driver TEXT NOT NULL,
                     topology TEXT NOT NULL, rule TEXT NOT NULL, verdict TEXT NOT NULL,
                     reason TEXT NOT NULL);
  CREATE TABLE findings(id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL REFERENCES cases(id),
                        summary TEXT NOT NULL, program TEXT NOT NULL, replay TEXT NOT NULL);
  CREATE TABLE samples(id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL REFERENCES cases(id),
                       ns REAL NOT NULL, cpu_ns REAL NOT NULL, metrics TEXT NOT NULL);
  CREATE TABLE baselines(name TEXT NOT NULL, machine TEXT NOT NULL,
                         run INTEGER NOT NULL REFERENCES runs(id), PRIMARY KEY(name, machine));
  CREATE INDEX cases_by_run ON cases(run);
  CREATE INDEX cases_by_subject ON cases(lock, scenario);
  CREATE INDEX samples_by_case ON samples(case_id);
  CREATE INDEX findings_by_case ON findings(case_id);
)sql"};
constexpr int kVersionNow = static_cast<int>(std::size(kMigrations));

constexpr const char* kStateWords[] = {"measured", "refused", "not run", "failed", "broken"};

BenchState state_of(const std::string& word) {
  for (std::size_t i = 0; i < std::size(kStateWords); ++i) {
    if (word == kStateWords[i]) return static_cast<BenchState>(i);
  }
  throw StoreError("the store has a case in the unknown state '" + word + "'");
}

template <class Body>
auto in_words(const std::string& path, Body&& body) {
  try {
    return body();
  } catch (const SQLite::Exception& error) {
    throw StoreError("store " + path + ": " + error.getErrorStr());
  } catch (const nlohmann::json::exception& error) {
    throw StoreError("store " + path + " has unreadable content: " + error.what());
  }
}

std::string machine_of(const Run& run) {
  BenchRun facts;
  facts.context = run.machine;
  return machine_fingerprint(facts);
}

}  // namespace

struct Store::Database {
  explicit Database(const std::string& where)
      : path(where), db(where, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs) {
    // The plain journal: making a new file a write-ahead one fails where two try it at once.
    db.exec("PRAGMA synchronous = FULL");
    db.exec("PRAGMA foreign_keys = ON");
    migrate();
  }

  int version() { return db.execAndGet("PRAGMA user_version").getInt(); }

  void migrate() {
    if (version() == kVersionNow) return;
    // Once more under the write lock: another process may have been quicker.
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    const int found = version();
    if (found > kVersionNow) {
      throw StoreError("store " + path + " is of version " + std::to_string(found) +
                       ", and this program knows " + std::to_string(kVersionNow));
    }
    for (int step = found; step < kVersionNow; ++step) db.exec(kMigrations[step]);
    db.exec("PRAGMA user_version = " + std::to_string(kVersionNow));
    transaction.commit();
  }

  std::int64_t add_run(const std::string& command, const std::string& started,
                       const std::string& machine, const Json& context) {
    SQLite::Statement insert(
        db, "INSERT INTO runs(command, started, machine, context) VALUES(?, ?, ?, ?)");
    SQLite::bind(insert, command, started, machine, context.dump());
    insert.exec();
    return db.getLastInsertRowid();
  }

  std::int64_t add_case(SQLite::Statement& insert, std::int64_t run, const Result& result,
                        const std::string& verdict) {
    insert.reset();
    SQLite::bind(insert, run, result.lock, result.scenario, result.driver, result.topology,
                 result.rule, verdict, result.reason);
    insert.exec();
    return db.getLastInsertRowid();
  }

  static constexpr const char* kInsertCase =
      "INSERT INTO cases(run, lock, scenario, driver, topology, rule, verdict, reason) "
      "VALUES(?, ?, ?, ?, ?, ?, ?, ?)";

  std::string path;
  SQLite::Database db;
};

Store::Store(const std::string& path) {
  in_words(path, [&] { database_ = std::make_unique<Database>(path); });
}

Store::~Store() = default;

std::int64_t Store::save(const Run& run) {
  return in_words(database_->path, [&] {
    SQLite::Database& db = database_->db;
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    Json context{{"version", run.version}, {"seed", run.seed}, {"note", run.note}};
    const std::int64_t id = database_->add_run(run.command, run.started, machine_of(run), context);
    SQLite::Statement cases(db, Database::kInsertCase);
    SQLite::Statement findings(
        db, "INSERT INTO findings(case_id, summary, program, replay) VALUES(?, ?, ?, ?)");
    for (const Result& result : run.results) {
      const std::int64_t case_id =
          database_->add_case(cases, id, result, std::string(to_string(result.verdict)));
      if (!result.finding) continue;
      findings.reset();
      SQLite::bind(findings, case_id, result.finding->summary, result.finding->program,
                   result.finding->replay_json);
      findings.exec();
    }
    transaction.commit();
    return id;
  });
}

std::int64_t Store::save(const BenchRun& run) {
  return in_words(database_->path, [&] {
    SQLite::Database& db = database_->db;
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    const std::int64_t id =
        database_->add_run("bench", run.date, machine_fingerprint(run), Json(run.context));
    SQLite::Statement cases(db, Database::kInsertCase);
    SQLite::Statement samples(
        db, "INSERT INTO samples(case_id, ns, cpu_ns, metrics) VALUES(?, ?, ?, ?)");
    for (const BenchCase& one : run.cases) {
      Result result;
      result.lock = one.lock;
      result.scenario = one.workload;
      result.driver = "bench";
      result.reason = one.reason;
      const std::int64_t case_id =
          database_->add_case(cases, id, result, kStateWords[static_cast<std::size_t>(one.state)]);
      for (const BenchSample& sample : one.samples) {
        samples.reset();
        SQLite::bind(samples, case_id, sample.ns, sample.cpu_ns, Json(sample.metrics).dump());
        samples.exec();
      }
    }
    transaction.commit();
    return id;
  });
}

void Store::name_baseline(const std::string& name, std::int64_t run) {
  in_words(database_->path, [&] {
    SQLite::Statement insert(database_->db,
                             "INSERT OR REPLACE INTO baselines(name, machine, run) "
                             "SELECT ?, machine, id FROM runs WHERE id = ?");
    SQLite::bind(insert, name, run);
    if (insert.exec() == 0) {
      throw StoreError("store " + database_->path + " has no run " + std::to_string(run));
    }
  });
}

std::optional<std::int64_t> Store::find_baseline(const std::string& name,
                                                 const std::string& machine) {
  return in_words(database_->path, [&]() -> std::optional<std::int64_t> {
    SQLite::Statement query(database_->db,
                            "SELECT run FROM baselines WHERE name = ? AND machine = ?");
    SQLite::bind(query, name, machine);
    if (!query.executeStep()) return std::nullopt;
    return query.getColumn(0).getInt64();
  });
}

BenchRun Store::load_bench(std::int64_t id) {
  return in_words(database_->path, [&] {
    BenchRun run;
    // One view of the file for all queries, whatever others write meanwhile.
    SQLite::Transaction transaction(database_->db);
    SQLite::Statement head(database_->db,
                           "SELECT started, context, command FROM runs WHERE id = ?");
    head.bind(1, id);
    if (!head.executeStep() || head.getColumn(2).getString() != "bench") {
      throw StoreError("store " + database_->path + " has no benchmark run " + std::to_string(id));
    }
    run.date = head.getColumn(0).getString();
    Json::parse(head.getColumn(1).getString()).get_to(run.context);
    SQLite::Statement query(
        database_->db,
        "SELECT c.id, c.lock, c.scenario, c.verdict, c.reason, s.ns, s.cpu_ns, s.metrics "
        "FROM cases c LEFT JOIN samples s ON s.case_id = c.id WHERE c.run = ? ORDER BY c.id, s.id");
    query.bind(1, id);
    std::int64_t current = -1;
    while (query.executeStep()) {
      if (query.getColumn(0).getInt64() != current) {
        current = query.getColumn(0).getInt64();
        BenchCase& one = run.cases.emplace_back();
        one.lock = query.getColumn(1).getString();
        one.workload = query.getColumn(2).getString();
        one.state = state_of(query.getColumn(3).getString());
        one.reason = query.getColumn(4).getString();
      }
      if (query.isColumnNull(5)) continue;
      BenchSample& sample = run.cases.back().samples.emplace_back();
      sample.ns = query.getColumn(5).getDouble();
      sample.cpu_ns = query.getColumn(6).getDouble();
      Json::parse(query.getColumn(7).getString()).get_to(sample.metrics);
    }
    return run;
  });
}

std::vector<StoredRun> Store::runs() {
  return in_words(database_->path, [&] {
    std::vector<StoredRun> all;
    SQLite::Statement query(database_->db,
                            "SELECT id, command, started, machine, "
                            "(SELECT COUNT(*) FROM cases WHERE run = runs.id) FROM runs "
                            "ORDER BY id");
    while (query.executeStep()) {
      all.push_back({query.getColumn(0).getInt64(), query.getColumn(1).getString(),
                     query.getColumn(2).getString(), query.getColumn(3).getString(),
                     static_cast<std::size_t>(query.getColumn(4).getInt64())});
    }
    return all;
  });
}

std::vector<StoredPoint> Store::history(const std::string& lock, const std::string& workload,
                                        const std::string& machine) {
  return in_words(database_->path, [&] {
    std::map<std::int64_t, std::pair<std::string, std::vector<double>>> by_run;
    SQLite::Statement query(database_->db,
                            "SELECT r.id, r.started, s.ns FROM runs r JOIN cases c ON c.run = r.id "
                            "JOIN samples s ON s.case_id = c.id "
                            "WHERE c.lock = ? AND c.scenario = ? AND r.machine = ?");
    SQLite::bind(query, lock, workload, machine);
    while (query.executeStep()) {
      auto& [started, values] = by_run[query.getColumn(0).getInt64()];
      started = query.getColumn(1).getString();
      values.push_back(query.getColumn(2).getDouble());
    }
    std::vector<StoredPoint> points;
    for (auto& [run, point] : by_run) {
      points.push_back({run, point.first, median(std::move(point.second))});
    }
    return points;
  });
}

}  // namespace hobbs
