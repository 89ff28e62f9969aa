// SPDX-License-Identifier: Apache-2.0
// The benchmarks' load: TCP connects and HTTP reads as fast as they go. A shared library, because
// who makes connections must be the very process that the agent takes for containerd
// (tests/support/lab/registry_client.py).
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/bench/load_client.h"

namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t nanoseconds_since(Clock::time_point begun) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begun).count());
}

bool resolve(const char* address, std::uint16_t port, sockaddr_in& to) {
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  return inet_pton(AF_INET, address, &to.sin_addr) == 1;
}

bool is_from_loopback(int socket) {
  sockaddr_in own{};
  socklen_t size = sizeof own;
  return getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
         ntohl(own.sin_addr.s_addr) >> 24 == 127;
}

/// How long a connect took, 0 if it failed or, with `direct`, was led to loopback. The connection
/// ends by RST: no port is left waiting.
std::uint64_t time_connect(const sockaddr_in& to, bool direct = false) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return 0;
  const linger hard{1, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  const auto begun = Clock::now();
  bool connected = ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  const auto taken = nanoseconds_since(begun);
  if (connected && direct) connected = !is_from_loopback(socket);
  ::close(socket);
  return connected ? taken : 0;
}

/// A connected TCP socket with, if wanted, TLS on it.
class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (tls_) SSL_free(tls_);
    if (socket_ >= 0) ::close(socket_);
  }

  bool open(const LoadPlan& plan, SSL_CTX* context) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(plan.port);
    if (inet_pton(AF_INET, plan.address, &address.sin_addr) != 1) return false;
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return false;
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      return false;
    if (!context) return true;
    tls_ = SSL_new(context);
    SSL_set_fd(tls_, socket_);
    SSL_set_tlsext_host_name(tls_, plan.server_name);
    SSL_set1_host(tls_, plan.server_name);
    return SSL_connect(tls_) == 1;
  }

  bool write(std::string_view text) {
    if (tls_) return SSL_write(tls_, text.data(), static_cast<int>(text.size())) > 0;
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }

  /// 0 at the end, negative after a failure.
  long read(char* into, std::size_t size) {
    if (tls_) return SSL_read(tls_, into, static_cast<int>(size));
    return ::recv(socket_, into, size, 0);
  }

 private:
  int socket_ = -1;
  SSL* tls_ = nullptr;
};

struct Head {
  int status = 0;
  std::uint64_t length = 0;
};

/// The status and the Content-Length of a response's head.
bool parse(std::string_view text, Head& head) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  if (!text.starts_with(kVersion)) return false;
  text.remove_prefix(kVersion.size());
  std::from_chars(text.data(), text.data() + 3, head.status);
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kLength = "\r\ncontent-length: ";
  const auto place = lower.find(kLength);
  if (place == std::string::npos) return false;
  const char* digits = lower.data() + place + kLength.size();
  return std::from_chars(digits, lower.data() + lower.size(), head.length).ec == std::errc();
}

/// One thread's part of a plan.
class Worker {
 public:
  Worker(const LoadPlan& plan, SSL_CTX* context, std::uint64_t* first_bytes)
      : plan_(plan), context_(context), first_bytes_(first_bytes) {
    const char* head = plan.request;
    for (int i = 0; i < plan.heads; ++i, head += heads_.back().size() + 1)
      heads_.emplace_back(head);
  }

  void run() {
    std::unique_ptr<Connection> kept;
    for (int i = 0; i < plan_.requests; ++i) {
      const auto begun = Clock::now();
      if (!kept || !plan_.keep_alive) {
        kept = std::make_unique<Connection>();
        if (!kept->open(plan_, context_)) {
          ++failures;
          kept.reset();
          continue;
        }
      }
      if (!request(*kept, heads_[i % heads_.size()], begun, first_bytes_[i])) {
        ++failures;
        kept.reset();
      }
    }
  }

  std::uint64_t bytes = 0;
  std::uint64_t failures = 0;

 private:
  bool request(Connection& connection, std::string_view sent, Clock::time_point begun,
               std::uint64_t& first_byte) {
    if (!connection.write(sent)) return false;
    std::size_t filled = 0;
    std::size_t end = std::string_view::npos;
    while (end == std::string_view::npos && filled < buffer_.size()) {
      const long size = connection.read(buffer_.data() + filled, buffer_.size() - filled);
      if (size <= 0) return false;
      if (filled == 0) first_byte = nanoseconds_since(begun);
      filled += static_cast<std::size_t>(size);
      end = std::string_view(buffer_.data(), filled).find("\r\n\r\n");
    }
    Head head;
    if (end == std::string_view::npos || !parse({buffer_.data(), end}, head)) return false;
    if (head.status != plan_.status) return false;
    std::uint64_t left = head.length - (filled - end - 4);
    while (left > 0) {
      const long size = connection.read(buffer_.data(), buffer_.size());
      if (size <= 0) return false;
      left -= std::min<std::uint64_t>(left, static_cast<std::uint64_t>(size));
    }
    bytes += head.length;
    return true;
  }

  const LoadPlan& plan_;
  SSL_CTX* context_;
  std::uint64_t* first_bytes_;
  std::vector<std::string_view> heads_;
  std::vector<char> buffer_ = std::vector<char>(256UL * 1024);
};

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

}  // namespace

int load_connect(const char* address, std::uint16_t port, int count, std::uint64_t* nanoseconds) {
  sockaddr_in to{};
  if (!resolve(address, port, to)) return -1;
  int succeeded = 0;
  for (int i = 0; i < count; ++i) {
    if (const auto taken = time_connect(to)) nanoseconds[succeeded++] = taken;
  }
  return succeeded;
}

std::uint64_t load_first_connect(const char* address, std::uint16_t port, std::uint64_t until,
                                 int direct) {
  constexpr auto kPause = std::chrono::microseconds(200);
  sockaddr_in to{};
  if (!resolve(address, port, to)) return 0;
  while (nanoseconds_since({}) < until) {
    if (time_connect(to, direct != 0) > 0) return nanoseconds_since({});
    std::this_thread::sleep_for(kPause);
  }
  return 0;
}

int load_get(const LoadPlan* plan, std::uint64_t* first_bytes, LoadTotals* totals) {
  std::unique_ptr<SSL_CTX, FreeContext> context;
  if (plan->authority_file) {
    context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context.get(), SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), 128UL * 1024);
    if (SSL_CTX_load_verify_locations(context.get(), plan->authority_file, nullptr) != 1) return -1;
  }
  std::vector<Worker> workers;
  for (int i = 0; i < plan->streams; ++i) {
    workers.emplace_back(*plan, context.get(), first_bytes + i * plan->requests);
  }
  const auto begun = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (Worker& worker : workers) threads.emplace_back([&worker] { worker.run(); });
  }
  *totals = {.bytes = 0, .failures = 0, .nanoseconds = nanoseconds_since(begun)};
  for (const Worker& worker : workers) {
    totals->bytes += worker.bytes;
    totals->failures += worker.failures;
  }
  return 0;
}
