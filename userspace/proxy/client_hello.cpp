// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/client_hello.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

namespace hagring::proxy {
namespace {

// RFC 8446, sections 5.1, 4 and 4.2; RFC 6066, section 3; RFC 7301; RFC 9849 (ECH).
constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloMessage = 1;
constexpr std::uint8_t kHostName = 0;
constexpr std::uint16_t kServerNameExtension = 0;
constexpr std::uint16_t kAlpnExtension = 16;
constexpr std::uint16_t kSupportedVersionsExtension = 43;
constexpr std::uint16_t kEncryptedClientHelloExtension = 0xfe0d;
constexpr std::uint16_t kTls12 = 0x0303;
constexpr std::uint16_t kTls13 = 0x0304;
constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kMaxRecord = 1 << 14;
constexpr std::size_t kMessageHeader = 4;

/// Takes numbers and vectors from the front of some bytes; nullopt when they don't suffice.
class Cursor {
 public:
  explicit Cursor(ByteView bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  std::optional<std::size_t> number(std::size_t width) {
    const auto taken = take(width);
    if (!taken) return std::nullopt;
    std::size_t value = 0;
    for (const auto byte : *taken) value = value << 8 | byte;
    return value;
  }
  std::optional<ByteView> take(std::size_t size) {
    if (size > rest_.size()) return std::nullopt;
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  /// A vector whose length comes first, in `width` bytes.
  std::optional<ByteView> vector(std::size_t width) {
    const auto size = number(width);
    return size ? take(*size) : std::nullopt;
  }

 private:
  ByteView rest_;
};

/// GREASE values (RFC 8701) are 0x0a0a, 0x1a1a, …, 0xfafa.
bool is_grease(std::size_t value) {
  return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

bool read_server_name(ByteView body, ClientHello& hello) {
  Cursor extension(body);
  const auto list = extension.vector(2);
  if (!list || list->empty() || !extension.empty()) return false;
  Cursor names(*list);
  while (!names.empty()) {
    const auto type = names.number(1);
    const auto name = names.vector(2);
    // One name of each type (RFC 6066, section 3), and no other type was ever defined.
    if (!type || !name || *type != kHostName || !hello.server_name.empty()) return false;
    if (!is_host_name(as_text(*name))) return false;
    for (const char c : as_text(*name)) {
      hello.server_name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return true;
}

bool read_alpn(ByteView body, ClientHello& hello) {
  Cursor extension(body);
  const auto list = extension.vector(2);
  if (!list || list->empty() || !extension.empty()) return false;
  Cursor names(*list);
  while (!names.empty()) {
    const auto name = names.vector(1);
    if (!name || name->empty()) return false;
    hello.alpn.emplace_back(as_text(*name));
  }
  return true;
}

bool read_versions(ByteView body, ClientHello& hello) {
  Cursor extension(body);
  const auto list = extension.vector(1);
  if (!list || list->empty() || list->size() % 2 != 0 || !extension.empty()) return false;
  hello.versions.clear();
  for (Cursor versions(*list); !versions.empty();) {
    const auto version = *versions.number(2);
    if (!is_grease(version)) hello.versions.push_back(static_cast<std::uint16_t>(version));
  }
  return true;
}

bool read_extensions(ByteView bytes, ClientHello& hello) {
  std::set<std::size_t> seen;
  for (Cursor extensions(bytes); !extensions.empty();) {
    const auto type = extensions.number(2);
    const auto body = extensions.vector(2);
    // Threat: of two server names, the origin might read the other.
    if (!type || !body || !seen.insert(*type).second) return false;
    bool good = true;
    if (*type == kServerNameExtension) good = read_server_name(*body, hello);
    if (*type == kAlpnExtension) good = read_alpn(*body, hello);
    if (*type == kSupportedVersionsExtension) good = read_versions(*body, hello);
    if (*type == kEncryptedClientHelloExtension) hello.has_encrypted_client_hello = true;
    if (!good) return false;
  }
  return true;
}

/// Reads the body of a ClientHello message.
std::optional<ClientHello> read_hello(ByteView bytes) {
  Cursor cursor(bytes);
  const auto version = cursor.number(2);
  const auto random = cursor.take(32);
  const auto session = cursor.vector(1);
  const auto ciphers = cursor.vector(2);
  const auto compression = cursor.vector(1);
  if (!version || !random || !session || session->size() > 32 || !ciphers || ciphers->size() < 2 ||
      ciphers->size() % 2 != 0 || !compression || compression->empty()) {
    return std::nullopt;
  }
  ClientHello hello;
  hello.versions.push_back(static_cast<std::uint16_t>(*version));
  if (cursor.empty()) return hello;  // without extensions, as TLS 1.2 allows
  const auto extensions = cursor.vector(2);
  if (!extensions || !cursor.empty() || !read_extensions(*extensions, hello)) return std::nullopt;
  return hello;
}

constexpr std::array<std::string_view, 9> kMethods = {
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"};

}  // namespace

bool ClientHello::can_be_terminated() const {
  const auto spoken = [](std::uint16_t version) { return version == kTls12 || version == kTls13; };
  return std::any_of(versions.begin(), versions.end(), spoken) &&
         (alpn.empty() || std::find(alpn.begin(), alpn.end(), "http/1.1") != alpn.end());
}

HelloProgress ClientHelloReader::feed(ByteView bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  if (progress_ == HelloProgress::need_more) progress_ = advance();
  if (progress_ != HelloProgress::need_more) Bytes().swap(message_);
  return progress_;
}

HelloProgress ClientHelloReader::advance() {
  while (true) {
    const auto record = ByteView(bytes_).subspan(next_record_);
    const auto broken = next_record_ == 0 ? HelloProgress::not_tls : HelloProgress::malformed;
    // Record versions 3.0 to 3.4 are seen; 3.1 is what RFC 8446 wants in the first.
    if (!record.empty() && record[0] != kHandshakeRecord) return broken;
    if (record.size() > 1 && record[1] != 3) return broken;
    if (record.size() > 2 && record[2] > 4) return broken;
    if (record.size() >= kRecordHeader) {
      const std::size_t size = static_cast<std::size_t>(record[3]) << 8 | record[4];
      if (size == 0 || size > kMaxRecord) return HelloProgress::malformed;
      if (record.size() >= kRecordHeader + size) {
        const auto body = record.subspan(kRecordHeader, size);
        message_.insert(message_.end(), body.begin(), body.end());
        next_record_ += kRecordHeader + size;
        if (const auto progress = parse_message(); progress != HelloProgress::need_more) {
          return progress;
        }
        continue;
      }
    }
    return bytes_.size() > kMaxBytes ? HelloProgress::malformed : HelloProgress::need_more;
  }
}

HelloProgress ClientHelloReader::parse_message() {
  if (message_[0] != kClientHelloMessage) return HelloProgress::malformed;
  if (message_.size() < kMessageHeader) return HelloProgress::need_more;
  const auto size = *Cursor(ByteView(message_).subspan(1)).number(3);
  if (size > kMaxHello) return HelloProgress::malformed;
  if (message_.size() < kMessageHeader + size) return HelloProgress::need_more;
  // Nothing may follow it before the server has answered.
  if (message_.size() > kMessageHeader + size) return HelloProgress::malformed;
  auto hello = read_hello(ByteView(message_).subspan(kMessageHeader));
  if (!hello) return HelloProgress::malformed;
  hello_ = std::move(*hello);
  return HelloProgress::hello;
}

Prefix http_request_prefix(ByteView bytes) {
  const auto text = as_text(bytes);
  auto best = Prefix::no;
  for (const auto method : kMethods) {
    const auto common = std::min(text.size(), method.size());
    if (text.substr(0, common) != method.substr(0, common)) continue;
    if (text.size() > method.size() && text[method.size()] != ' ') continue;
    if (text.size() < method.size() + 2) {
      best = Prefix::maybe;
      continue;
    }
    const char target = text[method.size() + 1];
    if (target > ' ' && target < 0x7f) return Prefix::yes;
  }
  return best;
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  bool last_label_numeric = false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const auto end = std::min(name.find('.', begin), name.size());
    const auto label = name.substr(begin, end - begin);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    last_label_numeric = true;
    for (const char c : label) {
      const bool digit = c >= '0' && c <= '9';
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!digit && !letter && c != '-' && c != '_') return false;
      if (!digit) last_label_numeric = false;
    }
    begin = end + 1;
  }
  // No top-level domain is a number; what ends in one is an address (RFC 6066 forbids those).
  return !last_label_numeric;
}

}  // namespace hagring::proxy
