// A WebSocket in Node, over `ws`: protocol pings, an Authorization header, and an end that needs nobody's consent.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import WebSocket from 'ws'
import type { Payload } from '../connection/encoding.ts'
import type { LineSocket, SocketSink } from '../connection/LineSocket.ts'
import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { openStandardWebSocket } from './standardWebSocket.ts'
import { LONGEST_TEXT, TextFrames } from './TextFrames.ts'
import { type TextOwner, TextReader } from './TextReader.ts'
import type { OpenWebSocket, SocketRequest } from './WebSocketTransport.ts'

/** Whether a token can travel in the upgrade. */
export const sendsAuthorization = true

/** Counts the bytes of a text without encoding it. */
export const utf8Length = (text: string): number => Buffer.byteLength(text)

// As it was when this module was loaded: test runners put others in its place, which run nothing by themselves.
const { nextTick } = process
let ticking = false
nextTick(() => {
  ticking = true
})

/** At the end of this turn, once what has already begun in it is done. */
function atEndOfTurn<T>(act: (of: T) => void, of: T): void {
  if (ticking) nextTick(act, of)
  // It had been replaced before: the end of this microtask comes in any case.
  else void Promise.resolve(of).then(act)
}

/** One for all connections: only one of them can be in the middle of a burst. */
const frames = new TextFrames<NodeSocket>()

// A subclass rather than a wrapper: one object less per connection, one call less per frame. The listeners are
// shared functions that find their sink on the socket they are called on; without a sink they say nothing.
class NodeSocket extends WebSocket implements LineSocket, TextOwner {
  sink: SocketSink | undefined
  /** The connection beneath, once there is one. */
  tcp: Duplex | undefined
  gathering = false
  maxPayload = 0
  /** Whether a subprotocol is offered that has not been selected. */
  offered = false
  reader: TextReader | undefined
  /** Whether the closing handshake is complete, for all that is known here. */
  #concluded = false

  get gatheredBytes(): number {
    return frames.owner === this ? frames.length : 0
  }

  override send(payload: Payload): void {
    if (typeof payload === 'string' && this.#takesFrame(payload)) this.#append(0, payload)
    else {
      this.flush()
      super.send(payload)
    }
  }

  beginClose(code: number, reason: string): void {
    this.flush()
    super.close(code, reason)
  }

  /** Called by `ws` only: to answer a close frame, or to refuse what is broken. */
  override close(code?: number, reason?: string | Buffer): void {
    this.flush()
    super.close(code, reason)
    // `ws` itself tells of the end once TCP has ended, too, which may hang. An error that is the cause comes before this.
    queueMicrotask(() => this.#conclude(code, reason))
  }

  #conclude(code = 1005, reason: string | Buffer = ''): void {
    if (!this.sink) return
    this.#concluded = true
    this.sink.ended({ code, reason: reason.toString(), wasClean: true })
  }

  /** Sends the text `number:text`. */
  sendNumbered(number: number, text: string): void {
    if (this.#takesFrame(text)) this.#append(number, text)
    else this.send(`${number}:${text}`)
  }

  #takesFrame(text: string): boolean {
    return text.length <= LONGEST_TEXT && this.tcp !== undefined
  }

  #append(number: number, text: string): void {
    if (frames.owner !== this || !frames.hasRoom) {
      frames.owner?.flush()
      frames.owner = this
    }
    frames.append(number, text)
    if (!this.gathering) this.flush()
  }

  /** What has become frames in this turn goes before anything else. */
  flush(): void {
    if (frames.owner !== this) return
    frames.owner = undefined
    const bytes = frames.take()
    if (this.tcp?.writable) this.tcp.write(bytes)
  }

  /** A burst of small frames costs one system call instead of one each; the first of a turn is not held back. */
  gather(): void {
    if (this.gathering || this.tcp === undefined) return
    this.gathering = true
    this.tcp.cork()
    atEndOfTurn(release, this)
  }

  protocolPing(): void {
    this.ping()
  }

  drop(): void {
    this.sink = undefined
    this.flush()
    // While connecting this raises `error` a turn later: `onError` stays to hear it.
    if (!this.#concluded) this.terminate()
    else if (this.tcp instanceof Socket) this.tcp.destroySoon()
  }

  takeText(text: string, number: number): void {
    if (number > 0) this.sink?.numbered(number, text)
    else this.sink?.frame(text)
  }
}

function release(socket: NodeSocket): void {
  socket.gathering = false
  socket.flush()
  socket.tcp?.uncork()
}

function onOpen(this: WebSocket): void {
  const socket = this as NodeSocket
  const { tcp, protocol, maxPayload: maxBytes } = socket
  // Only a session selects a subprotocol.
  const numbered = protocol !== ''
  if (tcp) socket.reader = TextReader.attach(tcp, socket, { maxBytes, numbered })
  socket.sink?.opened(protocol)
}

function onUpgrade(this: WebSocket, response: IncomingMessage): void {
  const socket = this as NodeSocket
  socket.tcp = response.socket
  socket.offered &&= response.headers['sec-websocket-protocol'] === undefined
}

function onMessage(this: WebSocket, data: WebSocket.RawData, isBinary: boolean): void {
  // `nodebuffer` is in force: never an ArrayBuffer, never a list of fragments.
  const bytes = data as Buffer<ArrayBuffer>
  const { reader, sink } = this as NodeSocket
  reader?.messageTold()
  sink?.frame(isBinary ? bytes : bytes.toString())
}

function onAlive(this: WebSocket): void {
  ;(this as NodeSocket).sink?.alive()
}

function onError(this: WebSocket, error: Error): void {
  const message = `the connection to ${redactUrl(this.url)} failed: ${error.message}`
  const { sink, tcp, offered } = this as NodeSocket
  // The upgrade was accepted, and is no good without what was offered.
  const upgrade = tcp !== undefined && offered ? 'unselected' : 'unanswered'
  sink?.failed(new CommsError(message, { code: 'CONNECTION', cause: error }), upgrade)
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  ;(this as NodeSocket).sink?.ended({ code, reason: reason.toString(), wasClean: code !== 1006 })
}

/** What to look at first, by status. */
const HINTS: Readonly<Record<number, string>> = {
  400: 'does the server expect a session, or none?',
  401: 'is the token right?',
  403: 'are token, origin and host allowed?',
  404: 'is the path right?',
}

function onRefused(this: WebSocket, _request: ClientRequest, response: IncomingMessage): void {
  const { statusCode = 0 } = response
  const hint = HINTS[statusCode]
  const message = `${redactUrl(this.url)} refused the upgrade with HTTP ${statusCode}${hint ? `: ${hint}` : ''}`
  // Who answers with 5xx may be a proxy whose server is down.
  const upgrade = statusCode < 500 ? 'refused' : 'unknown'
  ;(this as NodeSocket).sink?.failed(new CommsError(message, { code: 'CONNECTION' }), upgrade)
  // Who listens here has to end the request: the body of a refusal is of no use.
  response.destroy()
}

function requestOptions({ token, maxPayload, unref }: SocketRequest): WebSocket.ClientOptions {
  const options: WebSocket.ClientOptions = {
    maxPayload,
    perMessageDeflate: false,
    followRedirects: false,
  }
  if (token !== undefined) options.headers = { Authorization: `Bearer ${token}` }
  if (unref) {
    options.finishRequest = (request) => {
      request.on('socket', (socket) => socket.unref())
      request.end()
    }
  }
  return options
}

export const openWebSocket: OpenWebSocket = (request, sink) => {
  if (request.WebSocket) return openStandardWebSocket(request, sink)
  const socket = new NodeSocket(request.url, request.protocols, requestOptions(request))
  socket.sink = sink
  socket.maxPayload = request.maxPayload
  socket.offered = request.protocols.length > 0
  socket.on('upgrade', onUpgrade)
  socket.on('open', onOpen)
  socket.on('message', onMessage)
  socket.on('ping', onAlive)
  socket.on('pong', onAlive)
  socket.on('error', onError)
  socket.on('close', onClose)
  socket.on('unexpected-response', onRefused)
  return socket
}
