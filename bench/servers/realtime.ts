// A server of many realtime connections, one kind a process: echoes what it gets, sends one message to all, tells what it
// costs. Each hands its application parsed objects and takes objects, as in the section `ws`.

import { createServer } from 'node:http'
import { SessionServer } from 'guru-comms/server'
import { Server as SocketIo } from 'socket.io'
import { type WebSocket, WebSocketServer } from 'ws'
import { answer } from '../harness/child.ts'
import { speakerFor } from './protocols.ts'

const MANY = 100_000
const http = createServer()
let broadcast: (data: object) => void = () => {}

const kinds: Record<string, () => void> = {
  ws() {
    const server = new WebSocketServer({ server: http, perMessageDeflate: false })
    server.on('connection', (socket) => {
      socket.on('message', (data: Buffer) => socket.send(JSON.stringify(JSON.parse(data.toString()))))
    })
    // As its documentation has it, and the text encoded once.
    broadcast = (data) => {
      const bytes = Buffer.from(JSON.stringify(data))
      for (const socket of server.clients) socket.send(bytes, { binary: false })
    }
  },
  guru() {
    const server = new SessionServer({
      maxSessions: MANY,
      maxConnections: MANY,
      maxConnectionsPerAddress: MANY,
      maxSessionsPerPrincipal: MANY,
    })
    server.onSession((session) => {
      session.handle((data) => void session.send(data))
    })
    server.attach(http)
    broadcast = (data) => void server.broadcast(data)
  },
  'socket.io'() {
    const server = new SocketIo(http, { transports: ['websocket'], perMessageDeflate: false })
    server.on('connection', (socket) => {
      socket.on('message', (data) => void socket.emit('message', data))
    })
    broadcast = (data) => void server.emit('message', data)
  },
  /** Its own server is a program in C#: this is what its JSON protocol costs at the least in Node. */
  signalr() {
    const server = new WebSocketServer({ server: http, perMessageDeflate: false })
    const speaker = speakerFor('/hub', '')
    const open = new Set<WebSocket>()
    server.on('connection', (socket) => {
      open.add(socket)
      socket.on('close', () => open.delete(socket))
      socket.on('message', (data: Buffer) => {
        const { messages, replies } = speaker.read(data.toString())
        for (const reply of replies) socket.send(reply)
        for (const json of messages) socket.send(speaker.wrap(JSON.stringify(JSON.parse(json))))
      })
    })
    broadcast = (data) => {
      const bytes = Buffer.from(speaker.wrap(JSON.stringify(data)))
      for (const socket of open) socket.send(bytes, { binary: false })
    }
  },
}

answer({
  listen: ({ kind }: { kind: string }) =>
    new Promise((resolve) => {
      kinds[kind]?.()
      http.listen(0, '127.0.0.1', 8192, () => {
        const address = http.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
  /** CPU so far, all threads, in microseconds. */
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  /** After full collections. */
  weigh() {
    for (let pass = 0; pass < 3; pass += 1) (globalThis as { gc?: () => void }).gc?.()
    return process.memoryUsage().rss
  },
  /** So many times, each in a turn of its own. */
  async broadcast({ bytes, times }: { bytes: number; times: number }) {
    const text = 'x'.repeat(bytes - 20)
    for (let n = 0; n < times; n += 1) {
      broadcast({ n, text })
      await new Promise((resolve) => setImmediate(resolve))
    }
  },
})
