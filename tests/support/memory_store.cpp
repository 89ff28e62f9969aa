// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <stdexcept>

namespace hagring::test {

using registry::Descriptor;
using registry::Digest;
using registry::OpenBlob;

namespace {

UniqueFd make_file(std::string_view content) {
  UniqueFd fd(::memfd_create("blob", MFD_CLOEXEC));
  if (!fd) throw std::runtime_error("memfd_create failed");
  for (std::size_t done = 0; done < content.size();) {
    const auto written = ::write(fd.get(), content.data() + done, content.size() - done);
    if (written < 0) throw std::runtime_error("writing a blob to memory failed");
    done += static_cast<std::size_t>(written);
  }
  return fd;
}

}  // namespace

Digest MemoryStore::add(std::string_view content) {
  Hasher hasher(HashAlgorithm::sha256);
  hasher.update(as_bytes(content));
  auto digest = Digest::of(HashAlgorithm::sha256, hasher);
  add_as(digest, content, content.size());
  return digest;
}

void MemoryStore::add_as(Digest digest, std::string_view content, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  files_[std::move(digest)] = File{make_file(content), size};
}

void MemoryStore::tag(std::string name, Digest digest, std::string media_type) {
  const std::lock_guard lock(mutex_);
  const auto file = files_.find(digest);
  const auto size = file == files_.end() ? 0 : file->second.size;
  names_.insert_or_assign(std::move(name),
                          Descriptor{std::move(digest), size, std::move(media_type)});
}

void MemoryStore::came_from(const Digest& digest, std::string registry, std::string repository) {
  const std::lock_guard lock(mutex_);
  sources_[digest].push_back(
      {.registry = std::move(registry), .repository = std::move(repository)});
}

void MemoryStore::lose_sources(error_code error) {
  const std::lock_guard lock(mutex_);
  sources_error_ = error;
}

void MemoryStore::remove(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  files_.erase(digest);
}

void MemoryStore::truncate(const Digest& digest, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  if (::ftruncate(files_.at(digest).fd.get(), static_cast<off_t>(size)) != 0) {
    throw std::runtime_error("ftruncate failed");
  }
}

std::vector<Digest> MemoryStore::aborted() const {
  const std::lock_guard lock(mutex_);
  return aborted_;
}

std::size_t MemoryStore::opened(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto count = opened_.find(digest);
  return count == opened_.end() ? 0 : count->second;
}

awaitable<Result<OpenBlob>> MemoryStore::open(Digest digest) {
  const std::lock_guard lock(mutex_);
  ++opened_[digest];
  const auto file = files_.find(digest);
  if (file == files_.end()) co_return Errc::not_found;
  // Opened anew through /proc, as a file has one offset a description.
  const auto path = "/proc/self/fd/" + std::to_string(file->second.fd.get());
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) co_return last_system_error();
  co_return OpenBlob{std::move(fd), file->second.size};
}

awaitable<Result<Descriptor>> MemoryStore::resolve(std::string name) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(name);
  if (found == names_.end()) co_return Errc::not_found;
  co_return found->second;
}

awaitable<Result<void>> MemoryStore::abort_ingest(Digest digest) {
  const std::lock_guard lock(mutex_);
  aborted_.push_back(std::move(digest));
  co_return Result<void>();
}

awaitable<Result<std::vector<registry::ContentSource>>> MemoryStore::sources(Digest digest) {
  const std::lock_guard lock(mutex_);
  if (!files_.contains(digest)) co_return Errc::not_found;
  if (sources_error_) co_return sources_error_;
  const auto found = sources_.find(digest);
  if (found == sources_.end()) co_return std::vector<registry::ContentSource>();
  co_return found->second;
}

}  // namespace hagring::test
