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
