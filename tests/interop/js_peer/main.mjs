// SPDX-License-Identifier: Apache-2.0
// A node of a Spegel mesh as js-libp2p makes one. What it does is told by lines of JSON on standard
// input, and answered on standard output (see ../README.md).
import './with_resolvers.mjs'

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { commandsOf } from './commands.mjs'
import { startNode } from './node.mjs'

const { values: options } = parseArgs({
  options: {
    listen: { type: 'string', default: '/ip4/0.0.0.0/tcp/5001' }, // with commas between
    'psk-file': { type: 'string' } // a swarm.key file
  }
})

async function answerTo (commands, line) {
  let request
  try {
    request = JSON.parse(line)
  } catch (error) {
    return { id: 0, error: `not a command: ${error.message}` }
  }
  const command = commands[request.do]
  if (command === undefined) {
    return { id: request.id, error: 'no such command' }
  }
  try {
    return { id: request.id, ok: await command(request) ?? {} }
  } catch (error) {
    return { id: request.id, error: `${error.name}: ${error.message}` }
  }
}

// Streams that are reset end in promises that nobody waits for.
process.on('unhandledRejection', (reason) => console.error('unhandled rejection:', reason))

const psk = options['psk-file'] === undefined ? undefined : readFileSync(options['psk-file'])
const node = await startNode(options.listen.split(','), psk)
const commands = commandsOf(node)
for await (const line of createInterface({ input: process.stdin })) {
  answerTo(commands, line).then((answer) => process.stdout.write(JSON.stringify(answer) + '\n'))
}
await node.stop()
process.exit(0)
