// The servers of the section `fate`: how each kind hears counters and pushes its own.

import type { Server } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { SessionServer } from 'guru-comms/server'
import { sqliteSessionStore } from 'guru-comms/storage/sqlite'
import { Server as SocketIoServer } from 'socket.io'
import { WebSocketServer } from 'ws'
import type { ServerKind } from '../contestants/fate/contestant.ts'
import { speakerFor } from './protocols.ts'

export interface LineHooks {
  onMessage(n: number): void
  /** The library said that this message will not arrive, or may not. */
  onTold(n: number): void
  /** Where what must survive the process may be kept. */
  storeFile: string
}

export interface ServerLine {
  /** Whether there is a client to push to, as far as the library knows. */
  reachable(): boolean
  /** Hands a counter over. A promise resolves when the library has it. */
  push(n: number): Promise<unknown> | undefined
}

type Listen = (server: Server, hooks: LineHooks) => ServerLine

const counterOf = (data: unknown) => (JSON.parse(String(data)) as { n: number }).n

/** ws's README, "Server broadcast" and "How to detect and close broken connections": pinged every 30 seconds. */
const plain: Listen = (server, { onMessage }) => {
  const sockets = new WebSocketServer({ server })
  const clients = new Map<object, (n: number) => void>()
  const answered = new WeakSet<object>()
  sockets.on('connection', (socket, request) => {
    const speaker = speakerFor(request.url ?? '/', '')
    for (const text of speaker.greeting) socket.send(text)
    const reachable = () => clients.set(socket, (n) => socket.send(speaker.wrap(`{"n":${n}}`)))
    if (!speaker.handshakes) reachable()
    answered.add(socket)
    const { heartbeat, heartbeatMs } = speaker
    const timer = heartbeat ? setInterval(() => socket.send(heartbeat), heartbeatMs) : undefined
    socket.on('pong', () => answered.add(socket))
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(timer)
      clients.delete(socket)
    })
    socket.on('message', (data: Buffer) => {
      const { messages, replies } = speaker.read(data.toString())
      for (const reply of replies) socket.send(reply)
      if (speaker.handshakes && replies.length > 0) reachable()
      for (const message of messages) onMessage(counterOf(message))
    })
  })
  setInterval(() => {
    for (const socket of sockets.clients) {
      if (!answered.delete(socket)) socket.terminate()
      else socket.ping()
    }
  }, 30_000)
  return {
    reachable: () => clients.size > 0,
    push(n) {
      for (const send of clients.values()) send(n)
      return undefined
    },
  }
}

/** docs/server.md, "Exactly once, over the death of the process": a store, and handlers that do their work in its transaction. */
const session: Listen = (server, { onTold, storeFile }) => {
  const store = sqliteSessionStore({ file: storeFile })
  store.database.exec('CREATE TABLE IF NOT EXISTS handled (n INTEGER)')
  const insert = store.database.prepare('INSERT INTO handled VALUES (?)')
  const sessions = new SessionServer({ store })
  sessions.onSession((one) => {
    one.handle((message, { record }) => record(() => insert.run((message as { n: number }).n)))
    one.on('dropped', ({ data }) => onTold(counterOf(data)))
    const over = ({ inDoubt }: { inDoubt: readonly { data: unknown }[] }) => {
      for (const { data } of inDoubt) onTold(counterOf(data))
    }
    one.on('lost', over)
    one.on('closed', over)
  })
  sessions.attach(server)
  const first = () => sessions.sessions.values().next().value
  return {
    reachable: () => first() !== undefined,
    push: (n) => first()?.send({ n }).stored,
  }
}

/** What the handlers of `session` recorded, in order. */
export function recordedIn(storeFile: string): number[] {
  const database = new DatabaseSync(storeFile, { readOnly: true })
  const rows = database.prepare('SELECT n FROM handled ORDER BY rowid').all()
  database.close()
  return rows.map(({ n }) => Number(n))
}

/** socket.io's docs, "Broadcasting events"; `recovery`: "Connection state recovery", with the two minutes it has by default. */
const socketIo =
  (recovery: boolean): Listen =>
  (server, { onMessage }) => {
    const io = new SocketIoServer(server, recovery ? { connectionStateRecovery: {} } : {})
    const KEPT_MS = 120_000
    let leftAt = Number.NEGATIVE_INFINITY
    io.on('connection', (socket) => {
      socket.on('message', ({ n }: { n: number }, acknowledge?: () => void) => {
        onMessage(n)
        acknowledge?.()
      })
      socket.on('disconnect', () => {
        leftAt = Date.now()
      })
    })
    return {
      reachable: () => io.sockets.sockets.size > 0 || (recovery && Date.now() - leftAt < KEPT_MS),
      push(n) {
        io.emit('message', { n })
        return undefined
      },
    }
  }

export const serverLines: Record<ServerKind, Listen> = {
  plain,
  session,
  'socket.io': socketIo(false),
  'socket.io-recovery': socketIo(true),
}
