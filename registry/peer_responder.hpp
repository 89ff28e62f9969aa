// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>

#include "registry/content_store.hpp"
#include "registry/policy.hpp"
#include "registry/privacy.hpp"
#include "registry/route.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/http/connection.hpp"

namespace hagring::registry {

/// What a peer was given.
struct Served {
  asio::ip::address peer;
  Digest digest;
  std::uint64_t bytes = 0;  ///< of the body, as far as they were taken
  bool complete = false;    ///< whether all that was asked for went out
};

/// How requests of peers ended, since the start. Written by the data threads, read by any.
struct PeerRequestCounters {
  std::atomic<std::uint64_t> served{0};     ///< 200 and 206
  std::atomic<std::uint64_t> not_found{0};  ///< 404: this node doesn't have it
  std::atomic<std::uint64_t> refused{0};    ///< other 4xx: malformed, 405, 416
  std::atomic<std::uint64_t> failed{0};     ///< the store failed, or a body broke off
  std::atomic<std::uint64_t> bytes{0};      ///< of bodies
};

/// Answers the requests of other nodes' mirrors, from the content store alone: what isn't there is
/// 404, nothing is ever forwarded. Used by all data threads at once.
class PeerResponder {
 public:
  struct Options {
    /// The least speed at which a peer must take a body, in bytes a second, on top of `grace`: a
    /// peer that takes a byte now and then holds a connection no longer than that.
    std::uint64_t least_speed = 32 * 1024;
    Duration grace = std::chrono::seconds(60);
    /// What rules exclude isn't given to peers; null: nothing is excluded.
    const Policy* policy = nullptr;
    /// Private content goes to members of the mesh with its mark, and what may be private with
    /// where it is from; they hold themselves to both. Null: nothing is private. Used only with
    /// `policy`.
    Privacy* privacy = nullptr;
    /// Asks a repository's registry, as learn_audience() does, about content of it; an inquiry has
    /// begun. Called on data threads; empty: nobody asks.
    std::function<void(std::string repository, Digest digest, bool manifest)> inquire{};
    /// Whoever asks is served: nobody could be held to a mark, so that private content isn't, nor
    /// what may be private until its registry has been asked.
    bool anybody = false;
    /// Then, for the registry to be asked: less than the time in which Spegel's nodes want an
    /// answer.
    Duration inquiry = std::chrono::milliseconds(1500);
  };
  /// Called on the data thread that served it.
  using OnServed = std::function<void(const Served&)>;

  PeerResponder(ContentStore& store, Clock& clock, Options options, OnServed on_served)
      : store_(store), clock_(clock), options_(options), on_served_(std::move(on_served)) {}

  /// Answers one request. `keep_alive`: whether another may follow. Errors: the connection's; it
  /// can only be closed then.
  awaitable<Result<void>> answer(http::Connection& connection, http::Request request,
                                 asio::ip::address peer, bool keep_alive);

  /// Answers what was no HTTP request (Errc::bad_message) or too large a one (Errc::too_large).
  awaitable<Result<void>> answer_malformed(http::Connection& connection, error_code error);

  const PeerRequestCounters& counters() const { return counters_; }

 private:
  struct Content;
  struct Secrecy;
  awaitable<Result<Content>> find(const Route& route);
  awaitable<Secrecy> secrecy_of(const Route& asked, Digest digest);
  awaitable<std::string> presumption_of(const Route& asked, Digest digest);
  bool excluded(const Route& asked) const;
  awaitable<Result<void>> refuse(http::Connection& connection, http::Response response,
                                 std::string_view code, std::string_view message);
  awaitable<Result<void>> refuse_missing(http::Connection& connection, const Route& route,
                                         error_code error, bool keep_alive);
  awaitable<Result<void>> send(http::Connection& connection, const http::Request& request,
                               Content content, asio::ip::address peer, bool keep_alive);
  awaitable<Result<void>> send_part(http::Connection& connection, const Content& content,
                                    std::uint64_t first, std::uint64_t length,
                                    asio::ip::address peer);

  ContentStore& store_;
  Clock& clock_;
  const Options options_;
  const OnServed on_served_;
  PeerRequestCounters counters_;
};

}  // namespace hagring::registry
