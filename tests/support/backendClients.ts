// Clients for tests of the backend: `ws` as it is, and bytes on a socket.

import { connect, type Socket } from 'node:net'
import { type ClientOptions, WebSocket } from 'ws'
import { until } from './misbehavingServer.ts'

export type Json = Record<string, unknown>

/** A `ws` client that keeps what it hears. */
export class RawClient {
  readonly socket: WebSocket
  readonly heard: Json[] = []
  readonly pongs: Buffer[] = []
  closed: { code: number; reason: string } | undefined
  /** The status of a refused upgrade. */
  refused: number | undefined

  constructor(port: number, options: ClientOptions & { path?: string; protocols?: string[] } = {}) {
    const { path = '/ws', protocols = [], ...rest } = options
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, rest)
    this.socket.on('message', (data, isBinary) => {
      if (!isBinary) this.heard.push(JSON.parse(data.toString()))
    })
    this.socket.on('pong', (data) => this.pongs.push(data))
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
    this.socket.on('unexpected-response', (_request, response) => {
      this.refused = response.statusCode
      response.resume()
    })
    this.socket.on('error', () => {})
  }

  async opened(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN, 'the socket opens')
    return this
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  ask(id: string, content = 'Hello'): void {
    this.say({ role: 'user', type: 'message', id, content, timestamp: 1 })
  }

  /** What was said in answer to a question, once it has ended. */
  async answer(id: string): Promise<string> {
    await until(() => this.ended(id), `the answer to ${id} ends`)
    return this.heard
      .filter(({ request_id }) => request_id === id)
      .map(({ content }) => content)
      .join('')
  }

  ended(id: string): boolean {
    return this.heard.some(({ request_id, end }) => request_id === id && end === true)
  }

  async closing(): Promise<{ code: number; reason: string }> {
    await until(() => this.closed !== undefined, 'the socket closes')
    return this.closed as { code: number; reason: string }
  }
}

/** Writes bytes as they are; resolves to the socket and a view of what came back. */
export async function rawSocket(
  port: number,
  bytes: string,
): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.write(bytes)
  return { socket, text: () => text }
}

/** The head of an upgrade request, other headers added. */
export function upgradeHead(path = '/ws', headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${headers}\r\n`
}
