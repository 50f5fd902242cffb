// Backends for the tests of communication: real sockets on loopback, told by the test how to behave.

import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

/** Waits until `holds` does; the test's own timeout is the limit. */
export async function until(holds) {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

/**
 * An HTTP server that answers with `answer(request, count)`: `{ status, headers, body }`, or `undefined` for silence.
 * Every request is kept in `requests`.
 */
export async function httpServer(answer) {
  const requests = []
  const server = createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const seen = {
      method: request.method,
      url: request.url,
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    }
    requests.push(seen)
    const told = await answer(seen, requests.length)
    if (!told) return
    const { status = 200, headers = {}, body = {} } = told
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(body === '' ? '' : JSON.stringify(body))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * A WebSocket server that can die and come back on the same port, with `/v1/health` beside it.
 * What it hears is kept in `heard`; `onMessage(message, socket)` may answer.
 */
export async function socketServer(onMessage = () => {}) {
  const it = { port: 0, url: '', heard: [], connections: 0, most: 0, sockets: new Set(), start, kill }
  let server

  async function start() {
    server = createServer((_request, response) => response.end('{"status":"ok"}'))
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket) => {
      it.connections += 1
      it.sockets.add(socket)
      it.most = Math.max(it.most, it.sockets.size)
      socket.on('close', () => it.sockets.delete(socket))
      socket.on('error', () => {})
      socket.on('message', (data, isBinary) => {
        const message = isBinary ? data : JSON.parse(data.toString())
        if (message.type === 'ping') return
        it.heard.push(message)
        onMessage(message, socket)
      })
    })
    await new Promise((resolve) => server.listen(it.port, '127.0.0.1', resolve))
    it.port = server.address().port
    it.url = `ws://127.0.0.1:${it.port}/ws`
  }

  /** Gone at once, without a close frame. */
  async function kill() {
    for (const socket of it.sockets) socket.terminate()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    it.sockets.clear()
  }

  await start()
  return it
}
