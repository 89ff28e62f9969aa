// SPDX-License-Identifier: Apache-2.0
#include "registry/containerd/event_reader.hpp"

#include "registry/containerd/proto/event_payloads.pb.h"
#include "registry/containerd/rpc.hpp"

namespace hagring::containerd {
namespace {

namespace api = ::containerd::services::events::v1;

struct Topic {
  std::string_view name;
  Event::Kind kind;
};

constexpr Topic kTopics[] = {
    {"/images/create", Event::Kind::image_created},
    {"/images/update", Event::Kind::image_updated},
    {"/images/delete", Event::Kind::image_deleted},
    {"/content/create", Event::Kind::content_created},
    {"/content/delete", Event::Kind::content_deleted},
};

bool is_about_content(Event::Kind kind) {
  return kind == Event::Kind::content_created || kind == Event::Kind::content_deleted;
}

api::SubscribeRequest request_for(const std::string& name_space) {
  api::SubscribeRequest request;
  request.add_filters("namespace==\"" + name_space + "\",topic~=\"^/(images|content)/\"");
  return request;
}

class SubscribedEvents final : public EventStream {
 public:
  SubscribedEvents(api::Events::Stub& stub, RpcQueue& queue, const std::string& name_space)
      : namespace_(name_space), stream_({}, [&](grpc::ClientContext* context) {
          return stub.PrepareAsyncSubscribe(context, request_for(name_space), queue.get());
        }) {}

  awaitable<void> start() override { return stream_.start(); }
  awaitable<RpcResult<Event>> next() override {
    for (;;) {
      CO_TRY(auto* envelope, co_await stream_.next());
      if (auto event = to_event(*envelope, namespace_)) co_return *std::move(event);
    }
  }
  void cancel() override { stream_.cancel(); }

 private:
  const std::string namespace_;
  ReplyStream<api::Envelope> stream_;
};

}  // namespace

std::optional<Event> to_event(const api::Envelope& envelope, const std::string& name_space) {
  if (envelope.namespace_() != name_space) return std::nullopt;
  for (const auto& topic : kTopics) {
    if (envelope.topic() != topic.name) continue;
    Event event{.kind = topic.kind, .subject = {}};
    if (is_about_content(topic.kind)) {
      ::containerd::events::ContentEvent payload;
      if (!payload.ParseFromString(envelope.event().value()) || payload.size() < 0) break;
      event.subject = std::move(*payload.mutable_digest());
      event.size = static_cast<std::uint64_t>(payload.size());
    } else {
      ::containerd::events::ImageEvent payload;
      if (!payload.ParseFromString(envelope.event().value())) break;
      event.subject = std::move(*payload.mutable_name());
    }
    return event;
  }
  return std::nullopt;
}

std::unique_ptr<EventStream> read_events(api::Events::Stub& stub, RpcQueue& queue,
                                         const std::string& name_space) {
  return std::make_unique<SubscribedEvents>(stub, queue, name_space);
}

}  // namespace hagring::containerd
