// SPDX-License-Identifier: Apache-2.0
#include "registry/content_answer.hpp"

#include "registry/manifest.hpp"
#include "userspace/base/read_at.hpp"
#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

constexpr std::string_view kOctets = "application/octet-stream";

std::string media_type_of(const Inquiry& inquiry, std::string_view content) {
  if (inquiry.route.kind == Route::Kind::manifest) {
    const auto manifest = parse_manifest(as_bytes(content));
    if (manifest && !manifest->media_type.empty()) return manifest->media_type;
  }
  return std::string(kOctets);
}

/// Whether a list of entity tags names `tag` (RFC 9110, section 13.1.2: compared weakly).
bool names_tag(std::string_view list, std::string_view tag) {
  for (auto element : http::list_elements(list)) {
    if (element.starts_with("W/")) element.remove_prefix(2);
    if (element == "*" || element == tag) return true;
  }
  return false;
}

/// The Range field, if it counts (RFC 9110, sections 13.1.5 and 14.2).
std::optional<std::string_view> range_field(const Inquiry& inquiry, std::string_view tag) {
  const auto condition = inquiry.request.headers.get("If-Range");
  if (inquiry.route.head || (condition && *condition != tag)) return std::nullopt;
  return inquiry.request.headers.get("Range");
}

}  // namespace

ContentAnswer content_answer(const Inquiry& inquiry, const Digest& digest, std::string media_type,
                             std::uint64_t size) {
  ContentAnswer answer;
  const auto tag = "\"" + digest.to_string() + "\"";
  answer.part = select_range(range_field(inquiry, tag), size);
  auto& response = answer.response;
  response.headers = {{"Content-Type", std::move(media_type)},
                      {"Docker-Content-Digest", digest.to_string()},
                      {"Docker-Distribution-Api-Version", "registry/2.0"},
                      {"Accept-Ranges", "bytes"},
                      {"ETag", tag}};
  if (const auto known = inquiry.request.headers.get("If-None-Match");
      known && names_tag(*known, tag)) {
    answer.unchanged = true;
    response.status = 304;
    response.headers.erase("Content-Type");
    return answer;
  }
  switch (answer.part.kind) {
    case Selection::Kind::whole:
      answer.part = {Selection::Kind::whole, 0, size};
      break;
    case Selection::Kind::part:
      response.status = 206;
      response.headers.add("Content-Range", content_range(answer.part, size));
      break;
    case Selection::Kind::unsatisfiable:
      response.status = 416;
      response.headers.add("Content-Range", content_range(answer.part, size));
      answer.part.length = 0;
      break;
  }
  response.body = {http::BodyLength::Kind::length, answer.part.length};
  return answer;
}

awaitable<Result<void>> say_unchanged(Inquiry& inquiry, ContentAnswer answer) {
  CO_CHECK(co_await inquiry.answer.head(std::move(answer.response)));
  co_return co_await inquiry.answer.finish();
}

Result<std::string> read_file(const OpenBlob& blob) {
  std::string content(blob.size, '\0');
  const MutableBytes into(reinterpret_cast<std::uint8_t*>(content.data()), content.size());
  TRY(const auto done, read_at(blob.file.get(), 0, into));
  if (done < content.size()) return Errc::bad_message;
  return content;
}

bool is_content(const Digest& digest, std::string_view content) {
  Hasher hasher(digest.algorithm());
  hasher.update(as_bytes(content));
  return digest.matches(hasher);
}

awaitable<void> note_manifest(Inquiry& inquiry, const Digest& digest, std::string_view manifest) {
  if (inquiry.parts.sizes != nullptr) inquiry.parts.sizes->learn(digest, manifest);
  const auto& hook = inquiry.parts.hooks.manifest_served;
  if (!hook || inquiry.route.head) co_return;
  co_await hook(inquiry.registry, inquiry.route.repository, digest, manifest);
}

awaitable<Result<void>> answer_with(Inquiry& inquiry, const Digest& digest, std::string content) {
  if (inquiry.route.kind == Route::Kind::manifest) {
    co_await note_manifest(inquiry, digest, content);
  }
  auto answer = content_answer(inquiry, digest, media_type_of(inquiry, content), content.size());
  if (answer.unchanged) co_return co_await say_unchanged(inquiry, std::move(answer));
  if (answer.part.length != content.size()) {
    content = content.substr(answer.part.length == 0 ? 0 : answer.part.first, answer.part.length);
  }
  co_return co_await inquiry.answer.whole(std::move(answer.response), std::move(content));
}

awaitable<Result<void>> answer_with(Inquiry& inquiry, const Digest& digest, OpenBlob blob) {
  inquiry.pull.source = PullSource::local;
  inquiry.pull.verified = true;  // by containerd, at its commit
  if (inquiry.route.kind == Route::Kind::manifest && blob.size <= kMaxManifestBytes) {
    auto content = read_file(blob);
    if (!content) co_return content.error();
    co_return co_await answer_with(inquiry, digest, *std::move(content));
  }
  auto answer = content_answer(inquiry, digest, std::string(kOctets), blob.size);
  if (answer.unchanged) co_return co_await say_unchanged(inquiry, std::move(answer));
  co_return co_await inquiry.answer.file(std::move(answer.response), std::move(blob),
                                         answer.part.first, answer.part.length);
}

ContentRequest content_request(const Inquiry& inquiry, const Digest& digest) {
  return {.manifest = inquiry.route.kind == Route::Kind::manifest,
          .registry = inquiry.registry,
          .repository = inquiry.route.repository,
          .digest = digest,
          .accept = std::string(inquiry.request.headers.get("Accept").value_or("")),
          .size = inquiry.parts.sizes ? inquiry.parts.sizes->of(digest) : std::nullopt};
}

}  // namespace hagring::registry
