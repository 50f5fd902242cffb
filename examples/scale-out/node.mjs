// One of several server nodes behind a load balancer, with their sessions on one Redis or Valkey. It is configured by its environment, says
// how it is at /health and what it does at /metrics, and leaves in order when it is told to (SIGTERM).

import { createServer } from 'node:http'
import { fromIoredis, redisSessionStore } from 'guru-comms/redis'
import { SessionServer } from 'guru-comms/server'
import { Redis } from 'ioredis'
import { metricsText } from './metrics.mjs'

const {
  HOST = '0.0.0.0',
  PORT = '8000',
  REDIS_URL = 'redis://127.0.0.1:6379',
  // What the app does: a module with `onSession(session, sessions)`.
  APP = new URL('app.mjs', import.meta.url).href,
  LEASE_MS = '10000',
  // Clients leave within so long when the node is replaced.
  DRAIN_MS = '10000',
  // The balancer has noticed by then that nobody new is to be sent here.
  NOTICE_MS = '2000',
  MAX_SESSIONS_PER_ADDRESS = '100',
} = process.env

const { onSession } = await import(APP)
const client = new Redis(REDIS_URL, { retryStrategy: (attempt) => Math.min(attempt * 50, 1000) })
client.on('error', (error) => console.error('engine:', error.message))
const engine = fromIoredis(client)
const store = redisSessionStore({ engine, lease: Number(LEASE_MS) })

const sessions = new SessionServer({
  store,
  // The balancer writes it; nobody else can reach this port.
  addressOf: (request) => String(request.headers['x-forwarded-for'] ?? request.socket.remoteAddress),
  maxSessionsPerPrincipal: Number(MAX_SESSIONS_PER_ADDRESS),
  maxConnectionsPerAddress: Number(MAX_SESSIONS_PER_ADDRESS),
})
sessions.on('error', (error) => console.error('sessions:', error))
sessions.onSession((session) => onSession(session, sessions))

let leaving = false
const http = createServer((request, response) => {
  if (request.url === '/health') {
    // 404: whoever is here may stay for now, nobody new comes (`http-check disable-on-404`). 503: cut off from the engine, this node
    // can serve nobody.
    const [status, word] = leaving ? [404, 'leaving'] : store.isReady() ? [200, 'ok'] : [503, 'cut off']
    response.writeHead(status).end(`${word}\n`)
  } else if (request.url === '/metrics') {
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(metricsText(sessions.getStats(), store.getStats()))
  } else response.writeHead(404).end()
})
sessions.attach(http)
http.listen(Number(PORT), HOST, () => console.log(`listens on ${HOST}:${PORT}`))

process.once('SIGTERM', async () => {
  leaving = true
  await new Promise((resolve) => setTimeout(resolve, Number(NOTICE_MS)))
  await sessions.drain({ spreadMs: Number(DRAIN_MS) })
  await sessions.close()
  await store.close()
  await engine.close()
  client.disconnect()
  http.close()
  http.closeAllConnections()
  console.log('has left')
})
