// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "userspace/base/byte_stream.hpp"
#include "userspace/base/clock.hpp"
#include "userspace/base/dialer.hpp"
#include "userspace/base/tls_context.hpp"
#include "userspace/proxy/splice.hpp"

namespace hagring::proxy {

/// Where a redirected client had wanted to connect to, as the hook remembers it.
struct Original {
  asio::ip::tcp::endpoint endpoint;
  std::uint32_t client_pid = 0;
  std::uint64_t cookie = 0;  ///< the client's socket
  /// Where `endpoint` is an egress proxy that was asked for a tunnel: the port at its other end.
  std::uint16_t tunnel_port = 0;

  bool through_proxy() const { return tunnel_port != 0; }
  /// The server's.
  std::uint16_t port() const { return through_proxy() ? tunnel_port : endpoint.port(); }
};

/// A connection that the mirror answers.
struct Intercepted {
  std::unique_ptr<ByteStream> stream;  ///< what the client says in plain text
  /// The SNI, or what an egress proxy was asked for; for plain HTTP else empty: see its Host field.
  std::string host;
  std::uint16_t port = 0;            ///< the server's, as the client had chosen it
  asio::ip::tcp::endpoint original;  ///< the server's, or the egress proxy's
  bool proxied = false;              ///< `original` is an egress proxy
  bool tls = false;
  bool probe = false;  ///< the trust probe; `host` is its address
  std::uint32_t client_pid = 0;
};

/// Why a connection was relayed to its original destination, untouched.
enum class SpliceReason {
  not_tls,            ///< nor plain HTTP to a registry that has a rule
  client_silent,      ///< the server speaks first
  hello_late,         ///< the ClientHello didn't arrive in time
  hello_malformed,    ///< or beyond our limits
  hello_unsupported,  ///< no TLS 1.2 or 1.3, no HTTP/1.1, or an encrypted hello
  no_server_name,
  not_mirrored,         ///< policy
  client_untrusting,    ///< the client isn't proven to trust our CA
  origin_unverifiable,  ///< its chain doesn't verify here, or it wants a client certificate
  undecided,            ///< the decision took too long
  no_leaf,              ///< no certificate could be made for the name
  proxy_refuses,        ///< the egress proxy's no, which the client shall hear from it
};
inline constexpr std::size_t kSpliceReasons =
    static_cast<std::size_t>(SpliceReason::proxy_refuses) + 1;

/// For status and metrics: `not_tls`, `client_silent`, ….
std::string_view to_string(SpliceReason reason);

/// Whether a TLS connection may be terminated, and if not, why.
struct Decision {
  bool terminate = false;
  SpliceReason reason = SpliceReason::not_mirrored;
};

/// How the server of a relayed connection behaved.
enum class RelayNews {
  unreachable,  ///< no address of its name could be connected to
  answered,     ///< something came from it
  silent,       ///< it was sent something, and nothing came for Splicer::Options::silence, or until
                ///< the connection ended
};

/// What sessions ask the rest of the agent, on the sessions' own data thread.
struct SessionHooks {
  /// Where the accepted socket `fd` had been meant for. An error closes the connection: to guess,
  /// by the local address say, could make us connect to ourselves.
  std::function<Result<Original>(int fd)> original;
  /// Whether `server_name` may be terminated for this client. May take a while (the agent may shake
  /// hands with the origin first): see SessionOptions::decision_limit. Cancelled when that passes.
  std::function<awaitable<Decision>(std::string server_name, Original original)> may_terminate;
  /// Whether `original` has a rule as a registry that speaks plain HTTP.
  std::function<bool(const Original& original)> is_plain_registry;
  /// The name of the client's egress proxy, one of plain HTTP, that is at `endpoint`; nullopt: none
  /// is.
  std::function<std::optional<std::string>(const asio::ip::tcp::endpoint& endpoint)> proxy_at;
  /// Whether a request without TLS, made to an egress proxy, is for a mirrored registry.
  std::function<bool(const std::string& host, std::uint16_t port)> mirrors_plain;
  /// A server's SSL with a leaf for `name` (an SNI, or the probe's address); null: none can be
  /// made.
  std::function<SslHandle(const std::string& name)> make_server_ssl;
  /// Serves the connection until it returns; the stream is then closed without a RST.
  std::function<awaitable<void>(Intercepted connection)> handle;
  /// The trust probe's handshake has come through, or not.
  std::function<void(const Original& original, bool trusted, const std::string& why)> probed;
  /// The client has refused our certificate with this alert (RFC 8446, section 6.2): it must not be
  /// shown one again before another probe.
  std::function<void(const Original& original, const std::string& server_name, int alert)> refused;
  /// What is learnt of a server that is relayed to, where the client named it. May be empty.
  std::function<void(const Original& original, const std::string& server_name, RelayNews news,
                     const std::string& why)>
      relayed{};
};

struct SessionOptions {
  /// How long a client may be silent before it is taken for one that waits for the server.
  Duration first_bytes_limit = std::chrono::milliseconds(500);
  /// From accept to the end of the ClientHello or of the HTTP method. Go gives a handshake 10 s.
  Duration hello_limit = std::chrono::seconds(10);
  Duration decision_limit = std::chrono::seconds(5);
  Duration handshake_limit = std::chrono::seconds(10);
  /// For an egress proxy to open a tunnel, when it turns out late that one is needed.
  Duration tunnel_limit = std::chrono::seconds(30);
  /// How long and how much is read from a client after our FIN, so that no RST goes out.
  Duration linger_limit = std::chrono::seconds(2);
  /// The same once the agent has been asked to stop.
  Duration linger_limit_at_stop = std::chrono::milliseconds(200);
  std::size_t linger_bytes = 1 << 20;
  /// The trust probe's destination (kProbeAddress).
  asio::ip::tcp::endpoint probe{asio::ip::make_address("192.0.2.1"), 443};
};

/// What became of connections, of all threads together. Each ends in exactly one of lost,
/// left_early, spliced, terminated, plain, refused, handshake_failed, probes.
struct SessionCounters {
  using Counter = std::atomic<std::uint64_t>;
  Counter lost = 0;        ///< no original destination: closed
  Counter left_early = 0;  ///< the client closed before we knew what it wanted
  std::array<Counter, kSpliceReasons> spliced{};
  Counter terminated = 0;  ///< TLS, given to the handler
  Counter plain = 0;       ///< plain HTTP, given to the handler
  Counter refused = 0;     ///< by a certificate alert
  Counter handshake_failed = 0;
  Counter probes_passed = 0;
  Counter probes_failed = 0;
  Counter dial_failed = 0;  ///< of the spliced: the original destination couldn't be reached
  Counter bytes_to_origin = 0;
  Counter bytes_to_client = 0;
};

/// Decides for each redirected connection: read what the client says first, then terminate TLS and
/// give it to the handler, or splice it to where it had been meant for. When in doubt it splices.
/// There is one for each data thread, with hooks of its own (a LeafMint is a thread's, too).
class Sessions {
 public:
  /// All references outlive the sessions. The dialer must refuse our own listeners
  /// (Listener::is_own) and the addresses that only we answer (192.0.2.0/24).
  Sessions(Clock& clock, Dialer& dialer, Splicer& splicer, SessionCounters& counters,
           SessionHooks hooks, SessionOptions options);

  /// Serves one accepted connection to its end. If the original destination can't be reached the
  /// client's connection is reset: its connect() had succeeded, so this is as near as we come to
  /// the refusal that it would have seen.
  awaitable<void> serve(asio::ip::tcp::socket client);

 private:
  class Session;

  Clock& clock_;
  Dialer& dialer_;
  Splicer& splicer_;
  SessionCounters& counters_;
  SessionHooks hooks_;
  SessionOptions options_;
};

}  // namespace hagring::proxy
