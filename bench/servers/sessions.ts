// A server of many sessions, as the sections `session` and `nodes` weigh it: it counts messages, and tells what it weighs.

import { createServer } from 'node:http'
import { SessionServer, type SessionServerOptions } from 'guru-comms/server'

const MANY = 100_000

/** @param store where its sessions lie; without one in memory */
export function manySessions(store?: SessionServerOptions['store']) {
  const server = createServer()
  const sessions = new SessionServer({
    store,
    maxSessions: MANY,
    maxConnections: MANY,
    maxConnectionsPerAddress: MANY,
    maxSessionsPerPrincipal: MANY,
  })
  sessions.onSession((session) => {
    session.handle(() => {})
  })
  sessions.attach(server)
  const calls = {
    /** Resolves to the port. */
    listen: () =>
      new Promise((resolve) => {
        server.listen(0, '127.0.0.1', 4096, () => {
          const address = server.address()
          resolve(typeof address === 'object' && address ? address.port : 0)
        })
      }),
    /** After full collections. */
    weigh() {
      for (let pass = 0; pass < 3; pass += 1) (globalThis as { gc?: () => void }).gc?.()
      const { heapUsed, rss, external } = process.memoryUsage()
      return { heapUsed, rss, external, sessions: sessions.getStats().sessions }
    },
  }
  return { sessions, calls }
}
