// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/event_reader.hpp"

#include <gtest/gtest.h>

#include "registry/containerd/proto/event_payloads.pb.h"

namespace hagring::containerd {
namespace {

using ::containerd::services::events::v1::Envelope;

Envelope envelope(const std::string& topic, const std::string& payload) {
  Envelope result;
  result.set_namespace_("k8s.io");
  result.set_topic(topic);
  result.mutable_event()->set_value(payload);
  return result;
}

std::string image_payload(const std::string& name) {
  ::containerd::events::ImageEvent event;
  event.set_name(name);
  return event.SerializeAsString();
}

std::string content_payload(const std::string& digest, std::int64_t size) {
  ::containerd::events::ContentEvent event;
  event.set_digest(digest);
  event.set_size(size);
  return event.SerializeAsString();
}

TEST(EventReader, ReadsImageEvents) {
  const auto event = to_event(envelope("/images/update", image_payload("name:1")), "k8s.io");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Event::Kind::image_updated);
  EXPECT_EQ(event->subject, "name:1");
}

TEST(EventReader, ReadsContentEvents) {
  const auto event =
      to_event(envelope("/content/create", content_payload("sha256:1", 5)), "k8s.io");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->kind, Event::Kind::content_created);
  EXPECT_EQ(event->subject, "sha256:1");
  EXPECT_EQ(event->size, 5U);
}

TEST(EventReader, PassesOverOtherNamespacesAndTopics) {
  EXPECT_FALSE(to_event(envelope("/images/create", image_payload("name:1")), "default"));
  EXPECT_FALSE(to_event(envelope("/tasks/exit", ""), "k8s.io"));
}

TEST(EventReader, PassesOverMalformedPayloads) {
  EXPECT_FALSE(to_event(envelope("/images/create", "\xff\xff\xff"), "k8s.io"));
  EXPECT_FALSE(to_event(envelope("/content/create", content_payload("sha256:1", -1)), "k8s.io"));
}

}  // namespace
}  // namespace hagring::containerd
