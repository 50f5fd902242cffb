// A server node for the section `nodes`: its sessions lie on an engine that others share.

import { createServer } from 'node:http'
import { fromIoredis, redisSessionStore } from 'guru-comms/redis'
import { SessionServer } from 'guru-comms/server'
import { Redis } from 'ioredis'
import { answer } from '../harness/child.ts'

const server = createServer()
const client = new Redis({ host: '127.0.0.1', port: Number(process.env.ENGINE) })
const store = redisSessionStore({ engine: fromIoredis(client) })
const many = 100_000
const sessions = new SessionServer({
  store,
  maxSessions: many,
  maxConnections: many,
  maxConnectionsPerAddress: many,
  maxSessionsPerPrincipal: many,
})
sessions.onSession((session) => {
  session.handle(() => {})
})
sessions.attach(server)

const collect = () => {
  for (let pass = 0; pass < 3; pass += 1) (globalThis as { gc?: () => void }).gc?.()
}

answer({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', 4096, () => {
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
  weigh() {
    collect()
    const { heapUsed, rss } = process.memoryUsage()
    return { heapUsed, rss, sessions: sessions.getStats().sessions }
  },
  /** Sends one message to every session; how many there were. */
  push: ({ size }: { size: number }) => sessions.broadcast('x'.repeat(size)),
  /** Sends so many messages in one session, that its client does not acknowledge. */
  fill({ sid, count, size }: { sid: string; count: number; size: number }) {
    for (let sent = 0; sent < count; sent += 1) sessions.sessions.get(sid)?.send('x'.repeat(size))
  },
  queued: () => sessions.getStats().queuedBytes,
})
