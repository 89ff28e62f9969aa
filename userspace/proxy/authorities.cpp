// SPDX-License-Identifier: Apache-2.0
#include "userspace/proxy/authorities.hpp"

#include <fmt/format.h>

#include "userspace/base/log.hpp"

namespace hagring::proxy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPart = "certificate authority";

bool is_there(const fs::path& file) {
  std::error_code error;
  return fs::exists(fs::symlink_status(file, error));
}

void erase(const fs::path& file) {
  std::error_code error;
  fs::remove(file, error);
  if (error) log::warning(kPart, "{}: can't be removed: {}", file.string(), error.message());
}

void put(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) {
    log::warning(kPart, "{}: can't be renamed to {}: {}", from.string(), to.filename().string(),
                 error.message());
  }
}

}  // namespace

Authorities::Authorities(const CertificateAuthorityOptions& options, const Clock& clock)
    : options_(options),
      clock_(clock),
      files_{.current = {.key = options.directory / "ca.key",
                         .certificate = options.directory / "ca.crt"},
             .next = {.key = options.directory / "next.key",
                      .certificate = options.directory / "next.crt"}} {
  options_.permitted_names = as_constraints(options.permitted_names);
  if (is_given()) {
    load_given();
  } else {
    load_own();
  }
  proving_ = signing_.load();
}

void Authorities::load_given() {
  const AuthorityFiles given{.key = options_.given_key, .certificate = options_.given_certificate};
  const auto& authority =
      keep(CertificateAuthority(load_given_pair(given), options_.permitted_names));
  const auto now = clock_.wall();
  const auto name = given.certificate.string();
  if (authority.not_after() < now || authority.not_before() > now) {
    throw StartError(name +
                     ": is not valid now; give a certificate that is, or see this machine's "
                     "clock");
  }
  if (!authority.permits(kProbeAddress)) {
    throw StartError(fmt::format(
        "{}: its name constraints leave out {}, by which containerd's trust is proven; add that "
        "address to them, or leave addresses out of them altogether",
        name, kProbeAddress));
  }
  if (!authority.is_constrained()) {
    log::warning(kPart,
                 "{} has no critical name constraints: with its key any name could be signed that "
                 "this node trusts. Give one that is limited to the mirrored registries",
                 name);
  } else if (!authority.covers(options_.permitted_names)) {
    log::warning(
        kPart, "{} does not cover all mirrored names: connections to the others are spliced", name);
  }
  if (authority.not_after() < now + options_.renew_before) {
    log::warning(kPart, "the end of {} is near: replace it", name);
  }
  signing_ = &authority;
}

void Authorities::load_own() {
  make_state_directory(options_.directory);
  finish_promotion();
  const auto now = clock_.wall();
  if (is_there(files_.current.certificate)) {
    const auto& authority = keep(CertificateAuthority(load_own_pair(files_.current)));
    if (authority.not_before() <= now && now < authority.not_after())
      signing_ = &authority;
    else
      log::warning(kPart, "{} is not valid now: it is replaced",
                   files_.current.certificate.string());
  }
  if (!signing_) signing_ = &make(files_.current);
  if (why_replace(signing()).empty()) return forget_successor();
  if (is_there(files_.next.certificate)) {
    const auto& next = keep(CertificateAuthority(load_own_pair(files_.next)));
    if (why_replace(next).empty()) successor_ = &next;
  }
  renew_if_due();
}

/// A crash may have left promote() half done.
void Authorities::finish_promotion() const {
  if (is_there(files_.current.certificate) || !is_there(files_.next.certificate)) return;
  if (is_there(files_.next.key)) put(files_.next.key, files_.current.key);
  put(files_.next.certificate, files_.current.certificate);
}

std::string Authorities::why_replace(const CertificateAuthority& authority) const {
  if (!authority.is_constrained()) return "it has no name constraints";
  if (!authority.covers(options_.permitted_names)) return "it does not cover all mirrored names";
  if (authority.not_before() > clock_.wall()) return "its time has not come yet";
  if (authority.not_after() < clock_.wall() + options_.renew_before) return "its end is near";
  return {};
}

const CertificateAuthority& Authorities::keep(CertificateAuthority authority) {
  return all_.emplace_back(std::move(authority));
}

const CertificateAuthority& Authorities::make(const AuthorityFiles& files) {
  auto made = CertificateAuthority::make({.permitted_names = options_.permitted_names,
                                          .node_name = options_.node_name,
                                          .validity = options_.validity},
                                         clock_.wall());
  store_pair(made.pair(), files);
  log::info(kPart, "made a new CA, {}", files.certificate.string());
  return keep(std::move(made));
}

bool Authorities::renew_if_due() {
  if (is_given() || successor_) return false;
  const auto why = why_replace(signing());
  if (why.empty()) return false;
  log::info(kPart,
            "the node's CA gets a successor: {}. It goes on signing until containerd has shown "
            "that it trusts the new one",
            why);
  successor_ = &make(files_.next);
  return true;
}

void Authorities::forget_successor() {
  if (is_there(files_.next.certificate)) erase(files_.next.certificate);
  if (is_there(files_.next.key)) erase(files_.next.key);
}

const CertificateAuthority& Authorities::signer(std::string_view name) const noexcept {
  return name == kProbeAddress ? *proving_.load() : *signing_.load();
}

std::string Authorities::pem() const {
  return signing().pem() + (successor_ ? successor_->pem() : std::string());
}

void Authorities::prove_successor(bool on) noexcept {
  proving_ = on && successor_ ? successor_ : signing_.load();
}

void Authorities::promote() {
  if (!successor_) return;
  signing_ = successor_;
  proving_ = successor_;
  successor_ = nullptr;
  // In this order: see finish_promotion().
  erase(files_.current.certificate);
  put(files_.next.key, files_.current.key);
  put(files_.next.certificate, files_.current.certificate);
  log::info(kPart, "the node's new CA signs from now on; the old one is forgotten");
}

}  // namespace hagring::proxy
