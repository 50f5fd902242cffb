// A client of guru.v1 that writes every frame by hand and answers nothing by itself.

import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ClientOptions, WebSocket } from 'ws'
import { until } from './misbehavingServer.ts'

type Json = Record<string, unknown>

export interface Opened {
  sid: string
  key: string
  rx: number
  ttl: number
  maxMessages: number
  maxBytes: number
  maxFrame: number
  ping: number
}

export class FrameClient {
  readonly socket: WebSocket
  /** What came in, in order: text as it is, bytes as hexadecimal digits. */
  readonly frames: string[] = []
  closed: { code: number; reason: string } | undefined
  /** The status of a refused upgrade. */
  refused: number | undefined

  constructor(port: number, options: ClientOptions & { path?: string; protocols?: string[] } = {}) {
    const { path = '/ws', protocols = ['guru.v1'], ...rest } = options
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, rest)
    this.socket.on('message', (data, isBinary) => {
      this.frames.push(isBinary ? (data as Buffer).toString('hex') : data.toString())
    })
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
    this.socket.on('unexpected-response', (_request: unknown, response: IncomingMessage) => {
      this.refused = response.statusCode
      response.resume()
    })
    this.socket.on('error', () => {})
  }

  async connected(): Promise<this> {
    await until(() => this.socket.readyState === WebSocket.OPEN, 'the socket opens')
    return this
  }

  /** Strings and bytes as they are, objects as JSON. */
  say(...frames: (string | Uint8Array | Json)[]): this {
    for (const frame of frames) {
      this.socket.send(
        typeof frame === 'string' || frame instanceof Uint8Array ? frame : JSON.stringify(frame),
      )
    }
    return this
  }

  /** Begins a session. */
  async open(more: Json = {}): Promise<Opened> {
    await this.connected()
    this.say({ t: 'open', ...more })
    return this.opened()
  }

  /** Goes on with a session; `frames` follow at once. */
  async resume(
    { sid, key }: { sid: string; key: string },
    epoch: number,
    rx: number,
    ...frames: string[]
  ): Promise<Opened> {
    await this.connected()
    this.say({ t: 'resume', sid, key, epoch, rx }, ...frames)
    return this.opened()
  }

  async opened(): Promise<Opened> {
    await until(() => this.control('opened') !== undefined || this.closed !== undefined, '"opened" comes')
    const opened = this.control('opened')
    if (!opened) throw new Error(`closed with ${this.closed?.code} ${this.closed?.reason}`)
    return opened as unknown as Opened
  }

  /** The latest control message of this kind. */
  control(t: string): Json | undefined {
    return this.controls(t).at(-1)
  }

  controls(t: string): Json[] {
    return this.frames
      .filter((frame) => frame.startsWith('{'))
      .map((frame): Json => JSON.parse(frame))
      .filter((control) => control.t === t)
  }

  /** Reliable text messages as they came: `number:payload`. */
  get messages(): string[] {
    return this.frames.filter((frame) => /^\d+:/.test(frame))
  }

  async heard(count: number): Promise<string[]> {
    await until(() => this.messages.length >= count, `${count} messages come, there are: ${this.messages}`)
    return this.messages
  }

  /** The highest `rx` that was acknowledged. */
  async acked(rx: number): Promise<void> {
    await until(() => (this.control('ack')?.rx as number) >= rx, `an ack of ${rx} comes`)
  }

  async closing(): Promise<{ code: number; reason: string }> {
    await until(() => this.closed !== undefined, 'the socket closes')
    return this.closed as { code: number; reason: string }
  }

  async refusal(): Promise<number> {
    await until(() => this.refused !== undefined, 'the upgrade is refused')
    return this.refused as number
  }

  /** Gone without a word. */
  async cut(): Promise<void> {
    this.socket.terminate()
    await this.closing()
  }
}

/** An HTTP server on loopback. */
export async function listen(): Promise<{ http: Server; port: number; close(): Promise<void> }> {
  const http = createServer((_request, response) => response.end('http'))
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  return {
    http,
    port: (http.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }
}
