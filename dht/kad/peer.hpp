// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "userspace/base/bytes.hpp"
#include "userspace/base/result.hpp"

namespace hagring::kad {

/// A libp2p peer ID in its binary form (a multihash), kept inline: tables hold thousands of them.
class PeerId {
 public:
  /// An identity multihash of a key of 42 bytes is the longest (peer-ids specification).
  static constexpr std::size_t kMaxSize = 44;

  PeerId() = default;

  /// Errors: Errc::bad_message when `bytes` is no identity or SHA-256 multihash of a peer's key.
  static Result<PeerId> from_bytes(ByteView bytes);

  ByteView bytes() const noexcept { return {bytes_.data(), size_}; }

  auto operator<=>(const PeerId&) const = default;
  bool operator==(const PeerId&) const = default;

 private:
  std::array<std::uint8_t, kMaxSize> bytes_{};
  std::uint8_t size_ = 0;
};

/// An IP address to count by: IPv4 as its mapped IPv6 address; unknown by default.
class Ip {
 public:
  Ip() = default;
  /// Unknown unless `bytes` are 4 or 16.
  explicit Ip(ByteView bytes);

  bool known() const { return *this != Ip(); }
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  bool operator==(const Ip&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// A multiaddr in its binary form. This layer carries it and looks at its first component only.
class Multiaddr {
 public:
  Multiaddr() = default;
  explicit Multiaddr(ByteView bytes) : bytes_(as_text(bytes)) {}

  ByteView bytes() const noexcept { return as_bytes(bytes_); }

  /// The bytes of the IPv4 or IPv6 address that it starts with; empty when it starts otherwise.
  ByteView ip() const noexcept;

  bool operator==(const Multiaddr&) const = default;

 private:
  std::string bytes_;  ///< a string: ip4 with tcp fits without an allocation
};

/// A peer and where it may be reached.
struct PeerInfo {
  PeerId id;
  std::vector<Multiaddr> addresses;

  /// The IP address that it claims first.
  Ip claimed_ip() const { return addresses.empty() ? Ip() : Ip(addresses[0].ip()); }

  bool operator==(const PeerInfo&) const = default;
};

}  // namespace hagring::kad

template <>
struct std::hash<hagring::kad::PeerId> {
  std::size_t operator()(const hagring::kad::PeerId& id) const noexcept {
    return std::hash<std::string_view>{}(hagring::as_text(id.bytes()));
  }
};

template <>
struct std::hash<hagring::kad::Ip> {
  std::size_t operator()(const hagring::kad::Ip& ip) const noexcept {
    return std::hash<std::string_view>{}(hagring::as_text(ip.bytes()));
  }
};
