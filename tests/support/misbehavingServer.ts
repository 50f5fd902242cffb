// Servers for tests, on loopback: one that speaks proper HTTP, and one that writes to the socket whatever a test wants.

import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'

export interface TestServer {
  readonly origin: string
  readonly port: number
  /** Connections open now. */
  readonly connections: number
  /** Requests taken so far. */
  readonly requests: number
  close(): Promise<void>
}

/** A request with its body read. */
export interface ReadRequest extends IncomingMessage {
  url: string
  method: string
  body: Buffer
}

/** An HTTP server; the handler is called when the whole request is there. */
export async function startServer(
  handle: (request: ReadRequest, response: ServerResponse) => void,
): Promise<TestServer> {
  let requests = 0
  const listener: RequestListener = (request, response) => {
    requests += 1
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => {})
    request.on('end', () =>
      handle(Object.assign(request, { body: Buffer.concat(chunks) }) as ReadRequest, response),
    )
  }
  return listening(createServer({ keepAliveTimeout: 30_000 }, listener), () => requests)
}

/** A server that hears each connection's head as text and writes what it likes. */
export async function startRawServer(handle: (socket: Socket, head: string) => void): Promise<TestServer> {
  let requests = 0
  const server = createNetServer((socket) => {
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = text.slice(0, end)
      text = ''
      requests += 1
      handle(socket, head)
    })
  })
  return listening(server, () => requests)
}

async function listening(
  server: Server | ReturnType<typeof createNetServer>,
  requests: () => number,
): Promise<TestServer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    get connections() {
      return sockets.size
    },
    get requests() {
      return requests()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createNetServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

/** Waits until `condition` holds: for what the other end of a real socket does in its own time. */
export async function until(condition: () => boolean, what: string, limitMs = 90_000): Promise<void> {
  const end = performance.now() + limitMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not happen within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
