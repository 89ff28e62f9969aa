// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace hagring::redirect {

/// Throws StartError, with what to do, unless the thread has CAP_BPF and CAP_NET_ADMIN, or
/// CAP_SYS_ADMIN which includes the former.
void require_bpf_capabilities();

}  // namespace hagring::redirect
