// The WebSocket server of the benchmarks, a process of its own. Commands come as messages with a `cmd`:
// `flood` (so many replies at once), `echo`, `report` (what was received); all others are counted.

import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { answer } from '../harness/child.ts'
import { frame } from './frames.ts'
import { delta } from './payload.ts'
import { type Speaker, speakerFor } from './protocols.ts'

interface Command {
  cmd: 'flood' | 'echo' | 'report'
  count?: number
}

const BLOCK = 250
const open = new Set<WebSocket>()
/** When upgrades and requests came in, in milliseconds since the epoch. */
const upgrades: number[] = []
const requests: number[] = []
let listeningSince = 0

/** Sends `count` pieces of a reply as fast as the socket takes them, at hardly any cost to this process. */
function flood(stream: Duplex, speaker: Speaker, count: number): void {
  const json = JSON.stringify(delta(1))
  const makeBlock = speaker.blocks?.(json, BLOCK) ?? sameBlock(speaker.wrap(json))
  let left = Math.ceil(count / BLOCK)
  const more = () => {
    while (left > 0) {
      left -= 1
      if (!stream.write(makeBlock())) {
        stream.once('drain', more)
        return
      }
    }
  }
  more()
}

const gathering = new WeakSet<Duplex>()

/** What a protocol owes in this turn goes out in one write, as servers do it that care. */
function together(stream: Duplex): void {
  if (gathering.has(stream)) return
  gathering.add(stream)
  stream.cork()
  setImmediate(() => {
    gathering.delete(stream)
    stream.uncork()
  })
}

function sameBlock(text: string): () => Buffer {
  const one = frame(text)
  const block = Buffer.concat(Array.from({ length: BLOCK }, () => one))
  return () => block
}

const server = createServer((_request, response) => {
  requests.push(Date.now())
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end('{"status":"ok"}')
})
const sockets = new WebSocketServer({ noServer: true })

server.on('upgrade', (request, stream: Duplex, head) => {
  upgrades.push(Date.now())
  sockets.handleUpgrade(request, stream, head, (socket) => {
    const speaker = speakerFor(request.url ?? '/', socket.protocol)
    let received = 0
    open.add(socket)
    for (const text of speaker.greeting) socket.send(text)
    const { heartbeat, heartbeatMs } = speaker
    const timer = heartbeat ? setInterval(() => socket.send(heartbeat), heartbeatMs) : undefined
    socket.on('close', () => {
      clearInterval(timer)
      open.delete(socket)
    })
    socket.on('error', () => socket.terminate())
    socket.on('message', (data: Buffer) => {
      const { messages, replies } = speaker.read(data.toString())
      if (replies.length > 0) together(stream)
      for (const reply of replies) socket.send(reply)
      for (const json of messages) {
        if (!json.includes('"cmd":')) {
          received += 1
          continue
        }
        const command = JSON.parse(json) as Command
        if (command.cmd === 'flood') flood(stream, speaker, command.count ?? 0)
        else if (command.cmd === 'echo') socket.send(speaker.wrap(json))
        else socket.send(speaker.wrap(`{"type":"report","received":${received}}`))
      }
    })
  })
})

answer({
  listen: ({ port = 0 }: { port?: number }) =>
    new Promise((resolve) => {
      server.listen(port, '127.0.0.1', 4096, () => {
        listeningSince = Date.now()
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
  arrivals: () => ({ listeningSince, upgrades, requests, open: open.size }),
})
