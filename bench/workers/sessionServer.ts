// A server of sessions for the section `session`: it counts, and tells what it weighs.

import { createServer } from 'node:http'
import { SessionServer } from 'guru-comms/server'
import { answer } from '../harness/child.ts'

const server = createServer()
const sessions = new SessionServer({
  maxSessions: 20_000,
  maxConnections: 20_000,
  maxConnectionsPerAddress: 20_000,
  maxSessionsPerPrincipal: 20_000,
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
    const { heapUsed, rss, external } = process.memoryUsage()
    return { heapUsed, rss, external, sessions: sessions.getStats().sessions }
  },
})
