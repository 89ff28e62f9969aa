// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "registry/fate.hpp"
#include "registry/origin_server.hpp"

namespace hagring::registry {

/// What is wrong with a server.
enum class Trouble {
  unreachable,  ///< no TCP connection, no TLS handshake, or no address by its name
  silent,       ///< it connects and then says nothing
  failing,      ///< it answers 500, 502, 503 or 504, or breaks off, again and again
};

std::string_view to_string(Trouble trouble);

/// What a probe has found.
enum class ProbeFinding {
  dead,      ///< no connection, or no TLS handshake
  mute,      ///< nothing after the handshake
  reached,   ///< a handshake, and then an end: alive, but it doesn't speak with us
  answered,  ///< any HTTP answer but
  troubled,  ///< one of 5xx
};

/// Remembers which servers are down, so that an outage costs one time-out and not one a request.
/// A server's breaker opens at once when a connection to it fails or an answer doesn't come in
/// time, and after several answers in a row that say it is in trouble. While it is open whoever has
/// others to ask is refused at once, what was under way for such ends too, and the server is probed
/// in the background. An unreachable server that a probe reaches is well again; with other troubles
/// one request tries it for all. Any good answer, to a last resort as well, closes the breaker.
/// Any thread may use it; a healthy server costs no memory.
class Breaker {
 public:
  struct Options {
    /// Bad answers in a row, within `window`, that open: one image may always be answered 500.
    unsigned bad_answers = 5;
    Duration window = std::chrono::minutes(1);
    /// Until the first probe; doubled for each that fails, up to the longest.
    Duration first_probe = std::chrono::seconds(1);
    Duration longest_probe = std::chrono::seconds(30);
    /// Then one request tries it: nobody may need it any more.
    unsigned probes = 25;
    /// Opened again within so long after it closed, it is probed as slowly as before.
    Duration relapse = std::chrono::minutes(1);
    /// A server that is only suspected is probed once in so long.
    Duration suspicion = std::chrono::seconds(10);
    /// How long what was found is believed without another look, for is_found_down().
    Duration fresh = std::chrono::seconds(30);
    /// Servers remembered; beyond that the one forgotten is who was touched longest ago.
    std::size_t capacity = 1024;
    /// Between lines in the log about one server.
    Duration quiet = std::chrono::seconds(10);
  };

  /// A request's leave to go to its server. Gone, the request is no longer told of the server's
  /// end, and if it was the one that tries, another may.
  class Leave {
   public:
    Leave(Leave&& other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)), position_(other.position_) {}
    Leave& operator=(Leave&&) = delete;
    ~Leave();
    /// The clock for the request's deadline.
    Fate& fate() { return *position_->second.fate; }

   private:
    friend class Breaker;
    struct UnderWay {
      std::shared_ptr<Fate> fate;  ///< shared with the post that seals it
      bool shares = false;         ///< the fate of others
      bool trial = false;
      bool waits = false;  ///< for the next probe's finding
    };
    using Position = std::multimap<OriginServer, UnderWay>::iterator;
    Leave(Breaker& breaker, Position position) : breaker_(&breaker), position_(position) {}
    Breaker* breaker_;
    Position position_;
  };

  /// A server that isn't asked now, for people.
  struct Outage {
    OriginServer server;
    Trouble trouble;
    std::string reason;                  ///< of the first failure
    WallTime since;                      ///< when that was
    std::optional<Duration> next_probe;  ///< none: the next request tries it

    /// `registry-1.docker.io:443 has not answered since … (timed out)`.
    std::string to_string() const;
  };

  /// When and how a server is probed next.
  struct Probe {
    TimePoint when;
    std::optional<asio::ip::tcp::endpoint> preferred;
  };

  explicit Breaker(Clock& clock) : Breaker(clock, Options()) {}
  Breaker(Clock& clock, Options options) : clock_(clock), options_(options) {}

  /// Called, on any thread, when a server wants probing from now on. Set it before the first use.
  void on_probe(std::function<void(OriginServer)> start) { start_probing_ = std::move(start); }

  /// Asks whether a request may go. One that has `others` to ask gets Errc OriginErrc::down while
  /// the breaker is open, and shares the fate of others like it; without, it may always go.
  Result<Leave> admit(const OriginServer& server, bool others, asio::any_io_executor executor);

  /// What came of a request, or of a connection that was relayed. `preferred` is the address that a
  /// client had chosen; `reason` is for people.
  void failed(const OriginServer& server, Trouble trouble, std::string reason,
              std::optional<asio::ip::tcp::endpoint> preferred);
  void answered(const OriginServer& server, unsigned status,
                std::optional<asio::ip::tcp::endpoint> preferred);
  /// It was connected to, and something came. Of a server that we don't ask ourselves (see
  /// is_found_down) this is all that is seen when clients do: it is no longer silent either.
  void reached(const OriginServer& server);
  /// Something was waited for in vain, but not for long enough to tell: it is probed once.
  void suspect(const OriginServer& server, std::optional<asio::ip::tcp::endpoint> preferred);

  bool is_down(const OriginServer& server) const;
  /// Whether a server that clients will ask themselves, for `target`, is down: if nothing is known
  /// of it, it is probed, and what isn't found out within `limit` is a no, since clients may have
  /// more patience. An answer of 5xx tells only if `target` has a query, as clients' requests have:
  /// some services fail without. One that says nothing after its handshake is down only if a probe
  /// has had an answer of it before. Callers at the same time share one probe.
  awaitable<bool> is_found_down(OriginServer server, std::string target, Duration limit);
  std::optional<Outage> outage(const OriginServer& server) const;
  /// For the status page.
  std::vector<Outage> outages() const;

  /// For the prober: when to probe next; `jitter` is between 0 and 1. Nothing: no longer at all.
  std::optional<Probe> next_probe(const OriginServer& server, double jitter);
  /// For the prober: what to ask for.
  std::string probe_target(const OriginServer& server) const;
  /// For the prober: what it has found.
  void probed(const OriginServer& server, ProbeFinding finding, const std::string& reason);
  /// For the prober: it can't probe this one.
  void not_probed(const OriginServer& server);

 private:
  enum class State { closed, open, half_open };
  struct Entry {
    OriginServer server{};
    State state = State::closed;
    Trouble trouble = Trouble::unreachable;
    std::string reason{};
    WallTime since{};
    std::optional<asio::ip::tcp::endpoint> preferred{};
    std::string target{};      ///< what clients ask it for, of servers that we don't ask ourselves
    unsigned bad_answers = 0;  ///< in a row
    TimePoint first_bad_answer{};
    unsigned probes = 0;    ///< since it opened
    unsigned slowness = 0;  ///< how often the pause was doubled
    bool probing = false;
    bool suspected = false;
    bool trying = false;  ///< half open, and a request has gone
    std::optional<TimePoint> next_probe{};
    TimePoint well_at{};    ///< when a probe last had an answer
    TimePoint looked_at{};  ///< when it last turned out not to be down
    TimePoint closed_at{};
    TimePoint suspected_at{};
    bool told = false;  ///< the log has its opening, so that it will have its end
    TimePoint told_at{};
  };
  using Entries = std::list<Entry>;
  /// What is to be done without the lock.
  struct Deeds {
    std::vector<std::shared_ptr<Fate>> sealed{};
    std::optional<OriginServer> probe{};
    std::string line{};
  };

  Entry* find(const OriginServer& server);
  const Entry* find(const OriginServer& server) const;
  Entry& touch(const OriginServer& server);
  void open(Entry& entry, Trouble trouble, std::string reason, Deeds& deeds);
  static void half_open(Entry& entry);
  void close(Entry& entry, Deeds& deeds);
  bool is_fresh(const Entry& entry) const;
  void let_waiters_go(const OriginServer& server, Deeds& deeds);
  void want_probe(Entry& entry, Deeds& deeds);
  void fail(Entry& entry, Trouble trouble, std::string reason, Deeds& deeds);
  void judge(Entry& entry, ProbeFinding finding, const std::string& reason, Deeds& deeds);
  void judge_unasked(Entry& entry, ProbeFinding finding, const std::string& reason, Deeds& deeds);
  void carry_out(Deeds deeds);
  Outage outage_of(const Entry& entry) const;
  void end(Leave::Position position);

  Clock& clock_;
  const Options options_;
  std::function<void(OriginServer)> start_probing_;
  mutable std::mutex mutex_;
  Entries entries_;  ///< the one touched last first
  std::map<OriginServer, Entries::iterator> index_;
  std::multimap<OriginServer, Leave::UnderWay> under_way_;
};

}  // namespace hagring::registry
