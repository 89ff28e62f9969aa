// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/code_pages.hpp"

#include <fcntl.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "userspace/base/read_at.hpp"
#include "userspace/base/unique_fd.hpp"

namespace hagring {
namespace {

// Documentation/admin-guide/mm/pagemap.rst; these bits are shown to any process.
constexpr std::uint64_t kOfFile = std::uint64_t{1} << 61;
constexpr std::uint64_t kSwapped = std::uint64_t{1} << 62;
constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;

struct Work {
  int pagemap = -1;
  std::uintptr_t page = 0;
  std::size_t unmapped = 0;
};

/// Whether no page from `begin` to `end` is a copy of the process's own.
bool all_of_file(const Work& work, std::uintptr_t begin, std::uintptr_t end) {
  std::array<std::uint64_t, 512> entries;
  for (auto at = begin / work.page; at < end / work.page;) {
    const auto count = std::min<std::size_t>(entries.size(), end / work.page - at);
    const MutableBytes into(reinterpret_cast<std::uint8_t*>(entries.data()),
                            count * sizeof(entries[0]));
    const auto got = read_at(work.pagemap, at * sizeof(entries[0]), into);
    if (!got || *got != into.size()) return false;
    for (std::size_t i = 0; i < count; ++i) {
      const bool copy = (entries[i] & kPresent) != 0 && (entries[i] & kOfFile) == 0;
      if (copy || (entries[i] & kSwapped) != 0) return false;
    }
    at += count;
  }
  return true;
}

int unmap_module(dl_phdr_info* module, std::size_t, void* data) {
  auto& work = *static_cast<Work*>(data);
  if (::getauxval(AT_SYSINFO_EHDR) == module->dlpi_addr) return 0;  // the kernel's, of no file
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    const auto& segment = module->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const auto start = module->dlpi_addr + segment.p_vaddr;
    const auto begin = start / work.page * work.page;
    const auto end = (start + segment.p_memsz + work.page - 1) / work.page * work.page;
    if (!all_of_file(work, begin, end)) continue;
    if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED) == 0) {
      work.unmapped += end - begin;
    }
  }
  return 0;
}

}  // namespace

std::size_t unmap_code() noexcept {
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!pagemap) return 0;
  Work work{.pagemap = pagemap.get(), .page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE))};
  ::dl_iterate_phdr(unmap_module, &work);
  return work.unmapped;
}

}  // namespace hagring
