// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/run.hpp"
#include "userspace/base/deadline.hpp"
#include "userspace/base/socket_stream.hpp"
#include "userspace/base/tls_stream.hpp"
#include "userspace/proxy/leaf_mint.hpp"

namespace hagring::proxy {

/// Runs a shell command to its end; its output, or nullopt if it failed.
inline std::optional<std::string> output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return std::nullopt;
  std::string output;
  char part[512];
  while (const auto size = std::fread(part, 1, sizeof(part), pipe)) output.append(part, size);
  return ::pclose(pipe) == 0 ? std::optional(output) : std::nullopt;
}

/// Go's crypto/tls and crypto/x509, which containerd is made of, as the judge of certificates.
struct GoJudge : testing::Test {
  GoJudge() { std::filesystem::create_directories(directory); }
  ~GoJudge() override { std::filesystem::remove_all(directory); }

  /// Builds the judge from Go's standard library alone, statically: no network is needed, and it
  /// runs in any root. False: there is no Go here, or one that can't.
  bool build_judge() const {
    return output_of("cd '" GO_JUDGE_SOURCE "' && GOCACHE='" GO_JUDGE_CACHE
                     "' GOFLAGS=-mod=mod CGO_ENABLED=0 GOTOOLCHAIN=local go build -o '" +
                     judge_file().string() + "' . 2>&1")
        .has_value();
  }
  std::filesystem::path judge_file() const { return directory / "judge"; }

  /// One handshake with a server that shows `leaf`, of the judge as `command` runs it, with
  /// ADDRESS in it replaced. Returns what the judge says; the alert it sent, if any, is in `alert`.
  std::string ask_judge(X509* leaf, std::string command) {
    asio::ip::tcp::acceptor acceptor(context,
                                     asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    command.replace(command.find("ADDRESS"), 7,
                    "127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()));
    std::optional<std::string> said;
    std::thread client([&] {
      said = output_of(command);
      // Should the judge not have come: nobody is waited for in vain.
      asio::post(context, [&] { acceptor.cancel(); });
    });
    test::run(context, with_deadline(clock, std::chrono::seconds(25), serve(acceptor, leaf)));
    client.join();
    context.restart();
    context.poll();  // the cancellation, while there is an acceptor
    return said.value_or("the judge did not run");
  }

  awaitable<Result<void>> serve(asio::ip::tcp::acceptor& acceptor, X509* leaf) {
    alert = -1;
    auto [error, socket] = co_await acceptor.async_accept(kTuple);
    if (error) co_return error;
    auto ssl = make_server_ssl(server_context.get());
    SSL_use_certificate(ssl.get(), leaf);
    SSL_use_PrivateKey(ssl.get(), ca.leaf_key());
    TlsStream stream(ssl.release(), std::make_unique<SocketStream>(std::move(socket)));
    const auto done = co_await stream.handshake();
    if (done) {
      CO_CHECK(co_await stream.write(as_bytes("hello")));
      CO_CHECK(co_await stream.shutdown_write());
    }
    alert = stream.failure().alert;
    co_return Result<void>();
  }

  asio::io_context context;
  SystemClock clock;
  std::filesystem::path directory =
      std::filesystem::path(testing::TempDir()) / ("go-judge-" + std::to_string(::getpid()));
  const Authorities authorities{{.directory = directory, .permitted_names = {"docker.io"}}, clock};
  const CertificateAuthority& ca = authorities.signing();
  LeafMint mint{authorities, clock};
  SslContext server_context = make_server_context();
  int alert = -1;
};

}  // namespace hagring::proxy
