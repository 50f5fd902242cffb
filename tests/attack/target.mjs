// A server to be attacked, in a process of its own. Its argument is its kind. It prints its port, and then, ten times a
// second, what it costs.

import { createServer } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createBackend, SessionServer } from 'guru-comms/server'

const [kind] = process.argv.slice(2)
/** An answer that nobody who does not read can take. */
const LARGE = 'x'.repeat(64 * 1024)

async function startBackend() {
  const backend = await createBackend({
    port: 0,
    responder: {
      async *respond({ content }) {
        if (content !== 'large') yield `You said: ${content}`
        else for (let n = 0; n < 10_000; n += 1) yield LARGE
      },
    },
  })
  return backend.port
}

async function startSessions() {
  const sessions = new SessionServer()
  sessions.onSession((session) =>
    session.handle((message) => {
      if (message === 'large') session.send(LARGE)
      else if (message === 'volatile') for (let n = 0; n < 1000; n += 1) session.send('v', { volatile: true })
      else session.send(`You said: ${message}`)
    }),
  )
  const http = createServer((request, response) => {
    response.writeHead(request.url === '/v1/health' ? 200 : 404, { 'content-type': 'application/json' })
    response.end('{"status":"ok"}')
  })
  sessions.attach(http)
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))
  return http.address().port
}

const port = await (kind === 'createBackend' ? startBackend() : startSessions())
console.log(JSON.stringify({ port }))

const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()
setInterval(() => {
  const { rss } = process.memoryUsage()
  console.log(JSON.stringify({ rss, delayMs: delay.max / 1e6 }))
  delay.reset()
}, 100)
