// coordinator/decision_store/snapshot_pull.h
//
// How a replica that lags further behind than entries reach gets another one's snapshot: it asks for it chunk by chunk.
// Pure: what the others say, what the own disk has done and the time come in.
//
//   idle --offered, and newer than the own state--> pulling --all chunks stored--> installing --done, failed--> idle
//                                                     '--withdrawn, silent for `give_up`--> idle
//
// The first chunk tells how large they are; from then on a few are under way at a time, ahead of what the own disk has, and what does
// not come is asked for again, less and less often: a link may be slower than the first wait. One that comes twice, late or from
// elsewhere changes nothing [T10]. A source that is silent for a while is left for another one that offers: the same file goes on
// where it is, another one begins anew, for no two have the same bytes. Who lags keeps fetching, and so is offered something again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "coordinator/consensus/ballot.h"
#include "coordinator/decision_store/snapshot_messages.h"

namespace troth::coordinator::store {

class SnapshotPull {
 public:
  // Chunks that are asked for and not on the own disk, at most.
  static constexpr std::size_t kMostAhead = 4;

  struct Timing {
    Duration resend = std::chrono::milliseconds(300);  // doubled each time, up to `silence`
    Duration silence = std::chrono::seconds(2);        // then another source is as good
    Duration give_up = std::chrono::seconds(10);
    Duration failed = std::chrono::seconds(30);
  };

  // ---- effects
  struct Ask {
    consensus::ReplicaId of;
    ChunkAsked what;
  };
  // Begin a file for it; whatever there was of another is dropped.
  struct Begin {
    SnapshotName name;
  };
  // Write it at its place, then tell `stored`.
  struct Store {
    SnapshotName name;
    std::uint64_t offset = 0;
    std::string bytes;
  };
  // Every byte is there: check it, and take its state for the own; then tell `installed`, or `failed`.
  struct Install {
    SnapshotName name;
  };
  struct Drop {};
  using Effect = std::variant<Ask, Begin, Store, Install, Drop>;
  using Effects = std::vector<Effect>;

  SnapshotPull(ClusterId cluster, Timing timing) : cluster_(std::move(cluster)), timing_(timing) {}

  // `applied`: the own state.
  [[nodiscard]] Effects offered(consensus::ReplicaId by, const SnapshotOffered& offer,
                                consensus::Slot applied, Instant now);
  [[nodiscard]] Effects chunk_received(consensus::ReplicaId from, ChunkSent chunk, Instant now);
  [[nodiscard]] Effects withdrawn(consensus::ReplicaId by, const SnapshotWithdrawn& withdrawn);
  [[nodiscard]] Effects stored(const SnapshotName& name, std::uint64_t bytes, Instant now);
  // Installed. One that could not be is not taken again for a while: it is damaged where it comes from, or the disk is full.
  void installed() { role_ = Idle{}; }
  void failed(Instant now);
  // The own state came that far by itself.
  [[nodiscard]] Effects given_up();
  [[nodiscard]] Effects time_passed(Instant now);
  [[nodiscard]] Instant wakes_at() const;

  // Whose snapshot comes, if one does.
  [[nodiscard]] std::optional<SnapshotName> coming() const;

 private:
  struct Idle {};
  struct Pulling {
    consensus::ReplicaId source;
    SnapshotOffered offer;
    std::uint64_t chunk = 0;                     // how large each is, but for the last; 0: not known yet
    std::uint64_t asked = 0;                     // every byte up to here
    std::uint64_t have = 0;                      // so of what has come
    std::uint64_t stored = 0;                    // and is on the own disk
    std::map<std::uint64_t, std::string> early;  // behind one that has not come yet
    Instant heard;
    Instant resend;
    Duration wait;
  };
  struct Installing {
    SnapshotName name;
  };

  static Effect ask(const Pulling& pulling, std::uint64_t offset);
  // What there is room for.
  static void ask_ahead(Pulling& pulling, Effects& effects);
  // From what is missing on, once more.
  void ask_again(Pulling& pulling, Instant now, Effects& effects) const;
  [[nodiscard]] Pulling* pulling(const SnapshotName& name);

  ClusterId cluster_;
  Timing timing_;
  std::variant<Idle, Pulling, Installing> role_;
  std::optional<SnapshotName> failed_;
  Instant failed_until_;
};

}  // namespace troth::coordinator::store
