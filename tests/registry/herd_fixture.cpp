// SPDX-License-Identifier: Apache-2.0
#include "tests/registry/herd_fixture.hpp"

#include <filesystem>

namespace hagring::herd {
namespace {

HerdsOptions in_temporary_folder(HerdsOptions how) {
  how.folder = std::filesystem::temp_directory_path();
  return how;
}

}  // namespace

awaitable<void> begin_stripe(http::Connection& connection, std::uint64_t size) {
  http::Response response{.status = 200};
  response.headers = {{std::string(kStripeField), "1"}};
  response.body = {http::BodyLength::Kind::chunked, 0};
  (void)co_await connection.write_response(response);
  const auto about_it = encode_about({.size = size});
  (void)co_await connection.write_body(encode_frame(FrameKind::about, about_it));
}

awaitable<void> send_first(http::Connection& connection, NodeId head, std::string content,
                           std::string sent) {
  const Batch batch{.epoch = 2, .head = head, .hashes = {hash_piece(as_bytes(content))}};
  Bytes piece;
  append_number(piece, 0);
  piece.insert(piece.end(), sent.begin(), sent.end());
  (void)co_await connection.write_body(encode_frame(FrameKind::batch, encode(batch)));
  (void)co_await connection.write_body(encode_frame(FrameKind::piece, piece));
}

awaitable<bool> send_stripe(http::Connection& connection, std::string content, NodeId head,
                            std::string sent) {
  co_await begin_stripe(connection, content.size());
  co_await send_first(connection, head, content, sent);
  (void)co_await connection.write_body(encode_frame(FrameKind::end, {}));
  co_return (co_await connection.finish_body()).has_value();
}

Stream stream_from_other(const NodeId& head) {
  return {.epoch = 1, .head = head, .sources = {{.stripe = 0, .parent = "other"}}};
}

void FakeMesh::send(const NodeId&, const Message& message) {
  sent.push_back(message);
  if (!answer) return;
  if (auto order = answer(message.body)) say(message.herd, *std::move(order));
}

void FakeMesh::say(const HerdId& herd, Body body) {
  asio::post(context_, [this, message = Message{herd, std::move(body)}] {
    hooks_.received("coordinator", message);
  });
}

std::optional<registry::Peer> FakeMesh::whereabouts(const NodeId& node) const {
  const auto found = places.find(node);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

std::vector<Outcome> FakeMesh::ended() const {
  std::vector<Outcome> all;
  for (const auto& message : sent) {
    if (const auto* end = std::get_if<Ended>(&message.body)) all.push_back(end->outcome);
  }
  return all;
}

HerdTest::HerdTest(HerdsOptions how, bool hangs)
    : control(hangs ? hung : context),
      herd_part({.control = control.get_executor(),
                 .clock = clock,
                 .self = "self",
                 .mesh = mesh,
                 .neighbours = mesh,
                 .notary = mesh,
                 .finished = finished,
                 .store = store,
                 .conduct = conduct},
                in_temporary_folder(std::move(how))) {
  mesh.places.emplace("other", registry::Peer{"other", other.server.endpoint()});
  herd_part.start();
  herds = &herd_part;
}

HerdTest::~HerdTest() {
  stop_background();
  test::run(control, herd_part.stop());
  test::run(context, other.server.drain());
}

void HerdTest::answer_joins(Body order) {
  mesh.answer = [order = std::move(order)](const Body& body) -> std::optional<Body> {
    return std::holds_alternative<Join>(body) ? std::optional(order) : std::nullopt;
  };
}

registry::Reply HerdTest::get_of(const std::string& path, const std::string& credentials) {
  http::Headers headers;
  if (!credentials.empty()) headers.add("Authorization", credentials);
  return ask("GET", path, std::move(headers));
}

}  // namespace hagring::herd
