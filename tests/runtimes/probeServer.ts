// The server that probes speak to: the reference backend, which also serves files to pages, and beside it lines that echo,
// a plain one and lossless sessions.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createBackend, SessionServer } from 'guru-comms/server'
import { WebSocketServer } from 'ws'

export interface ProbeAddresses {
  readonly baseURL: string
  readonly linesURL: string
}

export interface ProbeServer extends ProbeAddresses {
  /** What is served to pages, by path. */
  readonly files: Map<string, string>
  /** What a page will have sent to `/report/name`. */
  report(name: string): Promise<unknown>
  close(): Promise<void>
}

export async function startProbeServer(): Promise<ProbeServer> {
  const files = new Map<string, string>()
  const tries = new Map<string, number>()
  const reports = new Map<string, PromiseWithResolvers<unknown>>()
  const reported = (name: string) => {
    const known = reports.get(name) ?? Promise.withResolvers<unknown>()
    reports.set(name, known)
    return known
  }

  const sockets = new Set<Duplex>()
  const lines = createServer()
  lines.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const echo = new WebSocketServer({ noServer: true })
  lines.on('upgrade', (request, socket, head) => {
    if (request.url !== '/echo') return
    echo.handleUpgrade(request, socket, head, (line) => line.on('message', (data) => line.send(`${data}`)))
  })
  await new Promise<void>((resolve) => lines.listen(0, '127.0.0.1', resolve))

  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const path = request.url ?? ''
    const [, kind, name = ''] = path.split('/')
    if (kind === 'flaky') {
      const count = (tries.get(name) ?? 0) + 1
      tries.set(name, count)
      response.writeHead(count === 1 ? 503 : 200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ tries: count }))
    } else if (kind === 'cut') {
      for (const socket of sockets) socket.destroy()
      response.end()
    } else if (kind === 'report') {
      reported(name).resolve(JSON.parse(await text(request)))
      response.end()
    } else {
      const file = files.get(path)
      if (file === undefined) return false
      const type = path.endsWith('.html') ? 'text/html' : 'text/javascript'
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(file)
    }
    return true
  }

  const backend = await createBackend({ port: 0, onRequest })
  const sessions = new SessionServer({ allowedOrigins: [backend.url] })
  sessions.onSession((session) => session.handle((message) => void session.send(message)))
  sessions.attach(lines, { path: '/session' })
  return {
    baseURL: backend.url,
    linesURL: `ws://127.0.0.1:${(lines.address() as AddressInfo).port}`,
    files,
    report: (name) => reported(name).promise,
    async close() {
      await sessions.close({ graceMs: 0 })
      await backend.close({ graceMs: 0 })
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => lines.close(resolve))
    },
  }
}
