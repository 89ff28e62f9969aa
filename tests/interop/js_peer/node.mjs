// SPDX-License-Identifier: Apache-2.0
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { createLibp2p } from 'libp2p'

export const kKadProtocol = '/spegel/kad/1.0.0'

/** Starts a node that speaks what Spegel's do, in the private network of `psk` if there is one. */
export async function startNode (listen, psk) {
  return await createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    connectionProtector: psk === undefined ? undefined : preSharedKey({ psk }),
    connectionGater: { denyDialMultiaddr: () => false }, // private addresses too
    services: {
      identify: identify(),
      identifyPush: identifyPush(),
      ping: ping(),
      dht: kadDHT({ protocol: kKadProtocol, clientMode: false, peerInfoMapper: passthroughMapper })
    }
  })
}
