// SPDX-License-Identifier: Apache-2.0
#include "tests/dns/messages.hpp"

namespace hagring::dns::test {

Bytes query(std::string_view name, std::uint16_t type, bool edns) {
  Bytes message{0x12, 0x34, 0x01, 0x00, 0, 1,
                0,    0,    0,    0,    0, edns ? std::uint8_t{1} : std::uint8_t{}};
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    message.push_back(static_cast<std::uint8_t>(label.size()));
    message.insert(message.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  for (const int byte : {0, type >> 8, type & 0xff, 0, 1}) {
    message.push_back(static_cast<std::uint8_t>(byte));
  }
  if (edns) {
    // The root's name, OPT, 4096 bytes, version 0 and DO, a cookie option.
    const Bytes options{0,  0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 12, 0,
                        10, 0, 8,  1,    2, 3, 4, 5,    6, 7, 8};
    message.insert(message.end(), options.begin(), options.end());
  }
  return message;
}

Bytes response(ByteView query, std::uint8_t code, std::string_view rest) {
  Bytes message(query.begin(), query.end());
  message[2] |= 0x80;
  message[3] = static_cast<std::uint8_t>(0x80 | code);
  message.insert(message.end(), rest.begin(), rest.end());
  return message;
}

}  // namespace hagring::dns::test
