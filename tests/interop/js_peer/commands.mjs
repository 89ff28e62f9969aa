// SPDX-License-Identifier: Apache-2.0
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

const kCommandLimitMs = 30000

/** The key as Spegel makes it. */
async function keyCid (key) {
  return CID.createV1(raw.code, await sha256.digest(new TextEncoder().encode(key)))
}

const limited = (milliseconds = kCommandLimitMs) => ({ signal: AbortSignal.timeout(milliseconds) })
const described = ({ id, multiaddrs }) =>
  ({ peer_id: id.toString(), addresses: multiaddrs.map(String) })

async function findProviders (node, { key, limit, within_s: withinS }) {
  const providers = new Map() // js-libp2p names a provider as often as it is told of it
  try {
    for await (const event of node.services.dht.findProviders(await keyCid(key),
      limited(withinS * 1000))) {
      if (event.name !== 'PROVIDER') {
        continue
      }
      for (const provider of event.providers) {
        providers.set(provider.id.toString(), described(provider))
      }
      if (limit > 0 && providers.size >= limit) {
        break
      }
    }
  } catch (error) {
    if (providers.size === 0 && error.name !== 'TimeoutError' && error.name !== 'AbortError') {
      throw error
    }
  }
  return { providers: [...providers.values()] }
}

async function provide (node, { keys }) {
  for (const key of keys) {
    const failures = []
    let told = 0
    for await (const event of node.services.dht.provide(await keyCid(key), limited())) {
      if (event.name === 'QUERY_ERROR') {
        failures.push(event.error.message)
      }
      told += event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER' ? 1 : 0
    }
    if (told === 0 && failures.length > 0) {
      throw new Error(`nobody took the record: ${failures.join('; ')}`)
    }
  }
}

function connections (node) {
  const peers = new Map()
  for (const connection of node.getConnections()) {
    const id = connection.remotePeer.toString()
    const peer = peers.get(id) ?? { peer_id: id, connections: 0, streams: 0 }
    peer.connections += 1
    peer.streams += connection.streams.length
    peers.set(id, peer)
  }
  return { peers: [...peers.values()] }
}

async function known (node, { peer_id: id }) {
  const peer = await node.peerStore.get(peerIdFromString(id))
  const agent = peer.metadata.get('AgentVersion')
  if (agent === undefined) {
    throw new Error("the peer hasn't identified itself")
  }
  return {
    protocols: peer.protocols,
    addresses: peer.addresses.map(({ multiaddr: address }) => address.toString()),
    agent: new TextDecoder().decode(agent),
    connected: node.getConnections(peer.id).length > 0
  }
}

/** The commands of ../README.md, as far as js-libp2p knows such things. */
export function commandsOf (node) {
  return {
    about: () => ({ peer_id: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) }),
    connect: async ({ address }) => {
      const connection = await node.dial(multiaddr(address), limited())
      return { peer_id: connection.remotePeer.toString() }
    },
    disconnect: ({ peer_id: id }) => node.hangUp(peerIdFromString(id), limited()),
    provide: (request) => provide(node, request),
    find_providers: (request) => findProviders(node, request),
    table: () => ({
      peers: [...node.services.dht.routingTable.kb.toIterable()].map(({ peerId }) => peerId.toString())
    }),
    connections: () => connections(node),
    ping: async ({ peer_id: id }) =>
      ({ milliseconds: await node.services.ping.ping(peerIdFromString(id), limited()) }),
    peer: (request) => known(node, request)
  }
}
