// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/name_constraints.hpp"

#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>

#include "userspace/proxy/certificate_authority.hpp"

namespace hagring::proxy {
namespace {

/// A CA without a DNS constraint could sign any name: this one can't exist (RFC 6761).
constexpr const char* kNoName = "hagring.invalid";

using Constraints = std::unique_ptr<NAME_CONSTRAINTS, decltype(&NAME_CONSTRAINTS_free)>;

std::string lower(const ASN1_STRING* string) {
  std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                   static_cast<std::size_t>(ASN1_STRING_length(string)));
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return text;
}

/// Whether a subtree of IPv4 addresses, address and mask, has kProbeAddress in it.
bool has_probe(const ASN1_OCTET_STRING* subtree) {
  const auto probe = asio::ip::make_address_v4(kProbeAddress).to_bytes();
  if (ASN1_STRING_length(subtree) != static_cast<int>(2 * probe.size())) return false;
  const auto* bytes = ASN1_STRING_get0_data(subtree);
  for (std::size_t i = 0; i < probe.size(); ++i) {
    if (((bytes[i] ^ probe[i]) & bytes[probe.size() + i]) != 0) return false;
  }
  return true;
}

}  // namespace

std::optional<PermittedSubtrees> permitted_subtrees(X509* certificate) {
  int critical = 0;
  const Constraints constraints(static_cast<NAME_CONSTRAINTS*>(X509_get_ext_d2i(
                                    certificate, NID_name_constraints, &critical, nullptr)),
                                NAME_CONSTRAINTS_free);
  if (!constraints || critical != 1) return std::nullopt;
  PermittedSubtrees found{
      .names = {}, .permits_probe = false, .excludes = constraints->excludedSubtrees != nullptr};
  bool any_address = true;  // as long as none is named
  for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); ++i) {
    const auto* name = sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base;
    if (name->type == GEN_DNS) found.names.insert(lower(name->d.dNSName));
    if (name->type != GEN_IPADD) continue;
    any_address = false;
    found.permits_probe = found.permits_probe || has_probe(name->d.iPAddress);
  }
  found.permits_probe = found.permits_probe || any_address;
  found.names.erase(kNoName);
  return found;
}

std::string constraint_text(const std::vector<std::string>& names) {
  auto text = std::string("critical,permitted;IP:") + kProbeAddress + "/255.255.255.255";
  for (const auto& name : names) text += ",permitted;DNS:" + name;
  if (names.empty()) text += std::string(",permitted;DNS:") + kNoName;
  return text;
}

bool is_covered(std::string_view name, const std::vector<std::string>& suffixes) {
  return std::ranges::any_of(suffixes, [name](const std::string& suffix) {
    return name.ends_with(suffix) &&
           (name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.');
  });
}

}  // namespace hagring::proxy
