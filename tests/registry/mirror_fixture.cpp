// SPDX-License-Identifier: Apache-2.0
#include "tests/registry/mirror_fixture.hpp"

#include "userspace/base/racing_dialer.hpp"
#include "userspace/base/socket_stream.hpp"

namespace hagring::registry {

using namespace std::chrono_literals;
using asio::ip::tcp;

awaitable<Result<tcp::socket>> FakeDialer::dial(Destination destination) {
  dialled.push_back(destination);
  if (refusal) co_return refusal;
  const auto name = names.find(destination.host);
  if (name == names.end() && !destination.preferred) co_return Errc::not_found;
  if (black_hole && name != names.end()) {
    asio::steady_timer never(co_await asio::this_coro::executor, 1h);
    co_await never.async_wait(kTuple);
    co_return Errc::cancelled;
  }
  tcp::socket socket(co_await asio::this_coro::executor, tcp::v4());
  set_connection_options(socket);
  const auto to = name == names.end() ? *destination.preferred : name->second;
  const auto [error] = co_await socket.async_connect(to, kTuple);
  if (error) co_return error;
  co_return std::move(socket);
}

MirrorTest::MirrorTest(FirstByteTimes::Options times) : conduct(clock, {.first_bytes = times}) {
  // Tests that aren't about time must not fail on a busy machine.
  fetcher_options.search = fetcher_options.first_byte = fetcher_options.budget = 20s;
  options.tag_patience = 20s;
  about.host = "registry-1.docker.io";
  about.original = {asio::ip::make_address("203.0.113.1"), 443};
  dialer.names["registry-1.docker.io"] = origin.server.endpoint();
}

MirrorTest::~MirrorTest() {
  background_.cancel();
  finish_background();
  test::run(context, origin.server.drain());
  for (auto& peer : peers) test::run(context, peer.server.drain());
  mirror_.reset();
  peer_client_.reset();
  origin_client_.reset();
  context.restart();
  context.poll();
}

test::FakeRegistry& MirrorTest::add_peer() {
  auto& peer = peers.emplace_back(context, clock);
  peer_list.push_back({"peer-" + std::to_string(peers.size()), peer.server.endpoint()});
  return peer;
}

void MirrorTest::start() {
  if (mirror_) return;
  router_.emplace(peer_list);
  peer_client_.emplace(clock, dialer, nullptr, peer_limits);
  origin_client_.emplace(clock, dialer, client_tls.get(), origin_limits);
  fetcher_.emplace(clock, *peer_client_, *router_, conduct, fetcher_options, &privacy);
  hooks.background = [this](auto task) { background_.spawn(std::move(task)); };
  origin_part_.emplace(clock, *origin_client_, OriginMemory{breaker, limits});
  mirror_.emplace(MirrorParts{.clock = clock,
                              .policy = policy,
                              .store = store,
                              .conduct = conduct,
                              .record = record,
                              .fetcher = *fetcher_,
                              .origin = *origin_part_,
                              .options = options,
                              .hooks = hooks,
                              .sizes = &sizes,
                              .privacy = &privacy,
                              .grants = &grants,
                              .under_way = &under_way,
                              .herds = herds});
}

std::pair<std::unique_ptr<ByteStream>, std::unique_ptr<ByteStream>> MirrorTest::connect() {
  start();
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  tcp::socket ours(context);
  ours.connect(acceptor.local_endpoint());
  auto theirs = acceptor.accept();
  set_connection_options(theirs);
  return {std::make_unique<SocketStream>(std::move(ours)),
          std::make_unique<SocketStream>(std::move(theirs))};
}

awaitable<Reply> MirrorTest::ask_concurrently(std::string method, std::string target) {
  auto [ours, theirs] = connect();
  TaskGroup tasks(context.get_executor(), "mirror");
  tasks.spawn([this, stream = std::make_shared<std::unique_ptr<ByteStream>>(std::move(theirs))] {
    return mirror_->serve(std::move(*stream), about);
  });
  auto connection = std::make_unique<http::Connection>(std::move(ours));
  const http::Request request{
      .method = std::move(method), .target = std::move(target), .headers = {{"Host", about.host}}};
  auto reply = co_await exchange(*connection, request);
  connection.reset();
  co_await tasks.drain();
  co_return reply;
}

void MirrorTest::with_client(std::function<awaitable<void>(http::Connection&)> client) {
  auto [ours, theirs] = connect();
  TaskGroup tasks(context.get_executor(), "mirror");
  serving_ = &tasks;
  tasks.spawn([this, stream = std::make_shared<std::unique_ptr<ByteStream>>(std::move(theirs))] {
    return mirror_->serve(std::move(*stream), about);
  });
  auto connection = std::make_unique<http::Connection>(std::move(ours));
  test::run(context, client(*connection));
  connection.reset();
  test::run(context, tasks.drain());
}

Reply MirrorTest::ask(std::string method, std::string target, http::Headers headers) {
  http::Request request{.method = std::move(method), .target = std::move(target)};
  request.headers.add("Host", about.host);
  for (const auto& [name, value] : headers) request.headers.set(name, value);
  Reply reply;
  with_client([&](http::Connection& connection) -> awaitable<void> {
    reply = co_await exchange(connection, request);
  });
  return reply;
}

awaitable<Reply> MirrorTest::exchange(http::Connection& connection, http::Request request) {
  Reply reply;
  (void)co_await connection.write_request(request);
  (void)co_await connection.finish_body();
  const auto response = co_await connection.read_response(request.method);
  if (!response) {
    reply.error = response.error();
    co_return reply;
  }
  reply.status = response->status;
  reply.headers = response->headers;
  reply.length = response->body;
  Bytes buffer(64 * 1024);
  while (true) {
    const auto size = co_await connection.read_body(buffer);
    if (!size) reply.error = size.error();
    if (!size || *size == 0) break;
    reply.body += as_text(ByteView(buffer).first(*size));
  }
  reply.aborted = store.aborted().size();
  co_return reply;
}

}  // namespace hagring::registry
