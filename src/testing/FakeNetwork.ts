// A network between clients and one server, in virtual time: it delays, breaks, swallows, refuses, and delivers late what
// an old connection still had under way. Frames of one connection keep their order, as TCP has it; a connection that
// breaks loses what is under way, and its two ends learn of it at different times.

import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../core/clock.ts'
import type { Random } from '../core/random.ts'
import type { WebSocketClass } from '../GuruConnection.ts'
import type { WebSocketServerLike } from '../server/SessionServer.ts'

type Data = string | ArrayBuffer | ArrayBufferView<ArrayBuffer>

export interface FakeNetworkOptions {
  readonly clock: Clock
  readonly random: Random
  /** The least and the most milliseconds that a frame is under way. @default [1, 20] */
  readonly latencyMs?: readonly [number, number] | undefined
}

/** One direction of a connection: what is put in comes out later, in order, unless it is cut off. */
class Pipe {
  readonly #network: FakeNetwork
  #lastAt = 0
  #broken = false

  constructor(network: FakeNetwork) {
    this.#network = network
  }

  put(arrive: () => void): void {
    const { clock } = this.#network
    this.#lastAt = Math.max(this.#lastAt, clock.now() + this.#network.delay())
    clock.setTimeout(() => {
      // TCP never skips: where something was swallowed, nothing comes out any more, and nobody is told.
      if (this.#network.swallows) this.#broken = true
      if (!this.#broken) arrive()
    }, this.#lastAt - clock.now())
  }

  /** Nothing more comes out, what is under way included. */
  break(): void {
    this.#broken = true
  }
}

/** A connection, as the test sees it. */
export class FakeLink {
  readonly client: FakeClientSocket
  readonly server: FakeServerSocket
  readonly #network: FakeNetwork
  readonly up: Pipe
  readonly down: Pipe

  constructor(network: FakeNetwork, client: FakeClientSocket, protocol: string) {
    this.#network = network
    this.client = client
    this.up = new Pipe(network)
    this.down = new Pipe(network)
    this.server = new FakeServerSocket(this, protocol)
  }

  /** Breaks it: what is under way is lost, each end learns of it some time later. */
  cut(): void {
    this.up.break()
    this.down.break()
    const { clock } = this.#network
    clock.setTimeout(() => this.client.lost(1006, '', false), this.#network.delay())
    clock.setTimeout(() => this.server.lost(1006, ''), this.#network.delay())
    this.#network.links.delete(this)
  }

  /** One end has heard that it is over. */
  over(): void {
    this.#network.links.delete(this)
  }

  /** The client's end is gone without a word; what it has sent still arrives. */
  clientGone(): void {
    this.down.break()
    this.up.put(() => this.server.lost(1006, ''))
    this.#network.links.delete(this)
  }

  /** The server's end is gone likewise. */
  serverGone(): void {
    this.up.break()
    this.down.put(() => this.client.lost(1006, '', false))
    this.#network.links.delete(this)
  }
}

/** The client's end: the browser's WebSocket interface. */
export class FakeClientSocket {
  readyState = 0
  readonly bufferedAmount = 0
  binaryType = 'blob'
  protocol = ''
  onopen: ((event: never) => void) | null = null
  onmessage: ((event: never) => void) | null = null
  onerror: ((event: never) => void) | null = null
  onclose: ((event: never) => void) | null = null
  #link: FakeLink | undefined
  #dead = false

  constructor(network: FakeNetwork, protocols: string | string[] = []) {
    const offered = [protocols].flat()
    network.clock.setTimeout(() => {
      if (this.readyState !== 0) return
      const link = network.connect(this, offered)
      if (!link) {
        this.lost(1006, '', false)
        return
      }
      this.#link = link
      link.down.put(() => {
        if (this.readyState !== 0) return
        this.readyState = 1
        this.protocol = link.server.protocol
        this.#tell(this.onopen, {})
      })
    }, network.delay())
  }

  send(data: Data): void {
    if (this.readyState === 1) this.#link?.up.put(() => this.#link?.server.arrived(data))
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState >= 2) return
    const before = this.readyState
    this.readyState = 2
    if (before === 0 || !this.#link) return
    const link = this.#link
    link.up.put(() => link.server.closedByClient(code, reason))
  }

  /** Ends it now, as `ws` can. */
  terminate(): void {
    this.readyState = 3
    this.#link?.clientGone()
    this.#link = undefined
  }

  /** Its process has died: it says and hears nothing more. */
  die(): void {
    this.#dead = true
    this.terminate()
  }

  arrived(data: Data): void {
    // As browsers have it: after `close` nothing is handed over any more.
    if (this.readyState !== 1) return
    const bytes = typeof data === 'string' ? data : copyOf(data).buffer
    this.#tell(this.onmessage, { data: bytes })
  }

  lost(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#link?.over()
    this.#link = undefined
    this.#tell(this.onclose, { code, reason, wasClean })
  }

  #tell(listener: ((event: never) => void) | null, event: object): void {
    if (!this.#dead) listener?.call(this, event as never)
  }
}

/** The server's end: the part of the class of `ws` that a SessionServer uses. */
export class FakeServerSocket extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  readonly bufferedAmount = 0
  readonly protocol: string
  readonly #link: FakeLink
  #paused = false
  #held: (() => void)[] = []

  constructor(link: FakeLink, protocol: string) {
    super()
    this.#link = link
    this.protocol = protocol
  }

  send(data: Data): void {
    if (this.readyState === 1) this.#link.down.put(() => this.#link.client.arrived(data))
  }

  pong(): void {}

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    for (const late of this.#held.splice(0)) late()
  }

  close(code = 1000, reason = ''): void {
    if (this.readyState >= 2) return
    this.readyState = 2
    this.#link.down.put(() => {
      this.#link.client.lost(code, reason, true)
      this.lost(code, reason)
    })
  }

  terminate(): void {
    if (this.readyState === 3) return
    this.#link.serverGone()
    this.lost(1006, '')
  }

  arrived(data: Data): void {
    const text = typeof data === 'string'
    const bytes = text ? Buffer.from(data) : Buffer.from(copyOf(data).buffer)
    this.#take(() => {
      if (this.readyState < 3) this.emit('message', bytes, !text)
    })
  }

  closedByClient(code: number, reason: string): void {
    this.#take(() => {
      this.#link.down.put(() => this.#link.client.lost(code, reason, true))
      this.lost(code, reason)
    })
  }

  lost(code: number, reason: string): void {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#link.over()
    this.emit('close', code, Buffer.from(reason))
  }

  #take(deed: () => void): void {
    if (this.#paused) this.#held.push(deed)
    else deed()
  }
}

/** What a server attaches to: the part of `ws`'s WebSocketServer that a SessionServer uses. */
class FakeListener extends EventEmitter {
  readonly options = { perMessageDeflate: false }
  // What makes a SessionServer take it for a WebSocketServer.
  handleUpgrade(): void {}
}

export class FakeNetwork {
  readonly clock: Clock
  readonly random: Random
  /** Connections that nobody has ended yet. */
  readonly links = new Set<FakeLink>()
  latencyMs: readonly [number, number]
  /** Nobody answers: connecting fails. */
  refuses = false
  /** Frames vanish without a trace, and nobody is told. */
  swallows = false
  #listener: FakeListener | undefined

  constructor({ clock, random, latencyMs = [1, 20] }: FakeNetworkOptions) {
    this.clock = clock
    this.random = random
    this.latencyMs = latencyMs
  }

  /** What a `SessionServer` attaches to. A server that listened before is gone. */
  listen(): WebSocketServerLike {
    this.#listener = new FakeListener()
    return this.#listener as unknown as WebSocketServerLike
  }

  /** The server's process dies: nobody listens, its ends of all connections are gone. */
  killServer(): void {
    this.#listener = undefined
    for (const link of [...this.links]) {
      link.server.removeAllListeners()
      link.server.readyState = 3
      link.serverGone()
    }
  }

  /** A client process of its own: a class for the option `WebSocket`, and its death. */
  process(): { readonly WebSocket: WebSocketClass; die(): void } {
    const network = this
    const sockets = new Set<FakeClientSocket>()
    let dead = false
    class Socket extends FakeClientSocket {
      constructor(_url: string, protocols?: string | string[]) {
        super(network, protocols)
        sockets.add(this)
        // What a dead process still begins reaches nobody.
        if (dead) this.die()
      }
    }
    const die = () => {
      dead = true
      for (const socket of sockets) socket.die()
    }
    return { WebSocket: Socket as unknown as WebSocketClass, die }
  }

  /** Breaks every connection. */
  cut(): void {
    for (const link of [...this.links]) link.cut()
  }

  /** How long the next frame is under way. */
  delay(): number {
    const [least, most] = this.latencyMs
    return least + this.random() * (most - least)
  }

  /** For its sockets. */
  connect(client: FakeClientSocket, offered: readonly string[]): FakeLink | undefined {
    const listener = this.#listener
    if (!listener || this.refuses || this.swallows) return undefined
    const link = new FakeLink(this, client, offered[0] ?? '')
    this.links.add(link)
    listener.emit('connection', link.server, request(offered))
    return link
  }
}

function request(offered: readonly string[]): IncomingMessage {
  const socket = Object.assign(new EventEmitter(), { cork() {}, uncork() {}, remoteAddress: '127.0.0.1' })
  const headers = { host: 'localhost', 'sec-websocket-protocol': offered.join(', ') }
  return { url: '/ws', headers, socket } as unknown as IncomingMessage
}

function copyOf(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return data instanceof ArrayBuffer
    ? new Uint8Array(data.slice(0))
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
}
