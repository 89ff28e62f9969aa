// SPDX-License-Identifier: Apache-2.0
// js-libp2p 3 uses Promise.withResolvers (ECMAScript 2024), which Node 20 doesn't have.
Promise.withResolvers ??= function () {
  const parts = {}
  parts.promise = new this((resolve, reject) => Object.assign(parts, { resolve, reject }))
  return parts
}
