// SPDX-License-Identifier: Apache-2.0
#include "registry/manifest.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "userspace/http/grammar.hpp"

namespace hagring::registry {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxChildren = 4096;
constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxMediaType = 255;  // RFC 6838, section 4.2: 127 each side

/// Thrown through the JSON parser and caught below.
struct Refused {
  Errc error;
};

/// Lets only what a Manifest is made of become a tree: the rest of a hostile document costs no
/// memory. Depths are nlohmann's: 0 for the document, 1 for its keys.
class Filter {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    if (depth > kMaxDepth) throw Refused{Errc::bad_message};
    const bool starts = event == Event::object_start || event == Event::array_start;
    if (depth == 0 && starts && event != Event::object_start) throw Refused{Errc::bad_message};
    if (event == Event::key) return is_wanted(depth, parsed);
    if ((starts || event == Event::value) && ++seen_ > kMaxValues) throw Refused{Errc::too_large};
    return true;
  }

 private:
  static constexpr std::size_t kMaxValues = 64 * 1024;

  static bool is_wanted(int depth, const json& key) {
    static constexpr std::string_view kTop[] = {"schemaVersion", "mediaType", "config",    "layers",
                                                "manifests",     "fsLayers",  "signatures"};
    static constexpr std::string_view kInner[] = {"mediaType", "digest", "size"};
    const auto& name = key.get_ref<const std::string&>();
    return depth == 1 ? std::ranges::find(kTop, name) != std::end(kTop)
                      : std::ranges::find(kInner, name) != std::end(kInner);
  }

  std::size_t seen_ = 0;
};

bool is_media_type(std::string_view text) {
  const auto slash = text.find('/');
  return text.size() <= kMaxMediaType && slash != std::string_view::npos &&
         http::is_token(text.substr(0, slash)) && http::is_token(text.substr(slash + 1));
}

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_string()) throw Refused{Errc::bad_message};
  return found->get<std::string>();
}

Descriptor descriptor(const json& object) {
  if (!object.is_object()) throw Refused{Errc::bad_message};
  const auto digest = Digest::parse(text_at(object, "digest"));
  const auto size = object.find("size");
  if (!digest || size == object.end() || !size->is_number_unsigned()) {
    throw Refused{Errc::bad_message};
  }
  return {*digest, size->get<std::uint64_t>(), text_at(object, "mediaType")};
}

void append_children(const json& document, const char* key, std::vector<Descriptor>& children) {
  const auto& list = document.at(key);
  if (!list.is_array()) throw Refused{Errc::bad_message};
  if (list.size() > kMaxChildren) throw Refused{Errc::too_large};
  for (const auto& child : list) children.push_back(descriptor(child));
}

std::string media_type_of(const json& document, Manifest::Kind kind) {
  if (auto stated = text_at(document, "mediaType"); !stated.empty()) {
    // It becomes a header field's value.
    if (!is_media_type(stated)) throw Refused{Errc::bad_message};
    return stated;
  }
  switch (kind) {
    case Manifest::Kind::image:
      return "application/vnd.oci.image.manifest.v1+json";
    case Manifest::Kind::index:
      return "application/vnd.oci.image.index.v1+json";
    case Manifest::Kind::old:
      break;
  }
  if (!document.contains("fsLayers")) throw Refused{Errc::bad_message};
  return document.contains("signatures")
             ? "application/vnd.docker.distribution.manifest.v1+prettyjws"
             : "application/vnd.docker.distribution.manifest.v1+json";
}

Manifest read(const json& document) {
  if (!document.is_object()) throw Refused{Errc::bad_message};
  const bool is_index = document.contains("manifests");
  const bool is_image = document.contains("layers") || document.contains("config");
  if (is_index && is_image) throw Refused{Errc::bad_message};
  Manifest manifest;
  if (is_index) {
    manifest.kind = Manifest::Kind::index;
    append_children(document, "manifests", manifest.children);
  } else if (is_image) {
    manifest.kind = Manifest::Kind::image;
    if (!document.contains("config")) throw Refused{Errc::bad_message};
    manifest.children.push_back(descriptor(document.at("config")));
    if (document.contains("layers")) append_children(document, "layers", manifest.children);
  }
  manifest.media_type = media_type_of(document, manifest.kind);
  return manifest;
}

}  // namespace

Result<Manifest> parse_manifest(ByteView bytes) {
  if (bytes.size() > kMaxManifestBytes) return Errc::too_large;
  try {
    Filter filter;
    const auto document = json::parse(bytes.begin(), bytes.end(), std::ref(filter));
    return read(document);
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const json::exception&) {
    return Errc::bad_message;
  }
}

}  // namespace hagring::registry
