// Many clients of one realtime server, written by hand on raw `ws`, so that all servers have the same to do with: they say
// what the protocol of each owes, and count what comes back.

import WebSocket from 'ws'
import { answer } from '../harness/child.ts'

/** How one client speaks. */
interface Tongue {
  readonly path: string
  readonly protocols: string[]
  /** What it says when the socket is open. */
  readonly first: string | undefined
  /** Whether a text of the server says that the connection can be used. */
  begins(text: string): boolean
  wrap(number: number, json: string): string
  isMessage(text: string): boolean
  /** What is owed in answer to a text that is no message. */
  reply(text: string): string | undefined
}

const tongues: Record<string, Tongue> = {
  ws: {
    path: '/',
    protocols: [],
    first: undefined,
    begins: () => false,
    wrap: (_number, json) => json,
    isMessage: () => true,
    reply: () => undefined,
  },
  guru: {
    path: '/ws',
    protocols: ['guru.v1'],
    first: '{"t":"open"}',
    begins: (text) => text.startsWith('{"t":"opened"'),
    wrap: (number, json) => `${number}:${json}`,
    isMessage: (text) => !text.startsWith('{'),
    reply: (text) => (text.startsWith('{"t":"ping"') ? text.replace('ping', 'pong') : undefined),
  },
  'socket.io': {
    path: '/socket.io/?EIO=4&transport=websocket',
    protocols: [],
    first: undefined,
    begins: (text) => text.startsWith('40'),
    wrap: (_number, json) => `42["message",${json}]`,
    isMessage: (text) => text.startsWith('42'),
    reply: (text) => (text.startsWith('0') ? '40' : text === '2' ? '3' : undefined),
  },
  signalr: {
    path: '/hub',
    protocols: [],
    first: '{"protocol":"json","version":1}\x1e',
    begins: (text) => text === '{}\x1e',
    wrap: (_number, json) => `{"type":1,"target":"message","arguments":[${json}]}\x1e`,
    isMessage: (text) => text.startsWith('{"type":1,'),
    reply: () => undefined,
  },
}

const ACK_EVERY = 32
const ACK_MS = 200

class Client {
  readonly socket: WebSocket
  readonly #tongue: Tongue
  sent = 0
  received = 0
  #acked = 0

  constructor(socket: WebSocket, tongue: Tongue) {
    this.socket = socket
    this.#tongue = tongue
  }

  send(json: string): void {
    this.sent += 1
    this.socket.send(this.#tongue.wrap(this.sent, json))
  }

  took(): void {
    this.received += 1
    if (this.#tongue === tongues.guru && this.received - this.#acked >= ACK_EVERY) this.acknowledge()
  }

  /** As PROTOCOL.md has it: every 32 messages, or after 200 ms. */
  acknowledge(): void {
    if (this.received === this.#acked) return
    this.#acked = this.received
    this.socket.send(`{"t":"ack","rx":${this.received}}`)
  }
}

const clients: Client[] = []
let missing = 0
let arrived: () => void = () => {}

function expectAll(count: number): Promise<void> {
  missing = count
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${missing} messages have not come`)), 120_000)
    arrived = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}

function open(port: number, tongue: Tongue): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${tongue.path}`, tongue.protocols, {
      perMessageDeflate: false,
    })
    const client = new Client(socket, tongue)
    const begin = () => {
      clients.push(client)
      resolve()
    }
    let begun = tongue === tongues.ws
    socket.on('error', reject)
    socket.on('open', () => {
      if (tongue.first !== undefined) socket.send(tongue.first)
      if (begun) begin()
    })
    socket.on('message', (data: Buffer) => {
      const text = data.toString()
      if (!begun && tongue.begins(text)) {
        begun = true
        begin()
      } else if (begun && tongue.isMessage(text)) {
        client.took()
        missing -= 1
        if (missing === 0) arrived()
      } else {
        const reply = tongue.reply(text)
        if (reply !== undefined) socket.send(reply)
      }
    })
  })
}

answer({
  async openMany({ port, kind, count }: { port: number; kind: string; count: number }) {
    const tongue = tongues[kind] as Tongue
    const AT_ONCE = 50
    for (let had = 0; had < count; had += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - had) }, () => open(port, tongue)))
    }
    if (kind !== 'guru') return
    setInterval(() => {
      for (const client of clients) client.acknowledge()
    }, ACK_MS)
  },
  /** Everybody sends one and waits for its echo, so many times. Returns how many echoes came. */
  async echo({ rounds, bytes }: { rounds: number; bytes: number }) {
    const json = JSON.stringify({ text: 'x'.repeat(bytes - 11) })
    for (let round = 0; round < rounds; round += 1) {
      const all = expectAll(clients.length)
      for (const client of clients) client.send(json)
      await all
    }
    return rounds * clients.length
  },
  /** Resolves when so many more messages have come to each. */
  await: ({ times }: { times: number }) => expectAll(times * clients.length),
})
