// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "userspace/base/asio.hpp"
#include "userspace/base/bytes.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/result.hpp"

namespace hagring::proxy {

/// How a relay ended and what it carried.
struct SpliceResult {
  std::uint64_t to_origin = 0;  ///< bytes, the read-ahead included
  std::uint64_t to_client = 0;
  /// None: both sides finished in order. Errc::timed_out: the idle limit. Errc::cancelled: by the
  /// owner. Else the system's, from the side that broke.
  error_code error;
};

/// Who wants to know how a relay's origin behaves; each is called once at the most, on the relay's
/// executor.
struct SpliceWatch {
  std::function<void()> answered{};  ///< its first bytes have come
  std::function<void()> silent{};    ///< it was sent something, and nothing came back for long
};

/// Relays bytes between two TCP sockets with splice(2), through pipes, without copying them into
/// user space. It is meant to look like the direct connection: a FIN is passed on as a FIN while
/// the other direction goes on, a RST as a RST, and what doesn't fit into the slower side's window
/// waits in the faster one's. Dead peers are found by the sockets' keepalive.
/// Safe from any thread; each relay runs on its sockets' executor, one thread.
class Splicer {
 public:
  struct Options {
    /// A relay that carried nothing for so long ends. Long: what idles directly may idle here.
    Duration idle_limit = std::chrono::hours(4);
    /// Asked for with F_SETPIPE_SZ; the kernel may give less (pipe(7), pipe-user-pages-soft).
    std::size_t pipe_bytes = 256 << 10;
    /// Bytes that one direction may carry before others on its thread have their turn.
    std::size_t yield_after = 4 << 20;
    /// Empty pipes kept for the next relays.
    std::size_t spare_pipes = 64;
    /// For SpliceWatch::silent. Go's clients give a handshake as long.
    Duration silence = std::chrono::seconds(10);
  };

  /// splice(2) has no MSG_NOSIGNAL: from here on the process ignores SIGPIPE.
  explicit Splicer(Options options);
  ~Splicer();

  /// Relays until both sides have finished or one broke. First sends `read_ahead`, which had been
  /// read from the client, to the origin. Closes both sockets: with RST if one of them had a RST
  /// or another error; with FIN when the end is our own wish (cancellation, idle limit), because
  /// containerd resumes after FIN and fails after RST.
  awaitable<SpliceResult> relay(asio::ip::tcp::socket client, asio::ip::tcp::socket origin,
                                Bytes read_ahead, SpliceWatch watch = {});

 private:
  class PipePool;
  class Relay;

  Options options_;
  std::unique_ptr<PipePool> pipes_;
};

/// Closes with RST, as a refused or broken connection ends.
void reset(asio::ip::tcp::socket& socket);

}  // namespace hagring::proxy
