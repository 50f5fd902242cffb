// The app's messages on a line that keeps itself up: what goes to the queue, the wire, the listeners, the status.
// It owns no socket and no timer; how messages are kept and numbered is the layer's affair.

import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { AudioGate, PUMP_MS } from './audioGate.ts'
import { Destination } from './destination.ts'
import {
  byteLength,
  decodeText,
  encode,
  encodeAudio,
  type Frame,
  type Payload,
  snapshot,
  toArrayBuffer,
} from './encoding.ts'
import { type ConnectionEvents, OWN_EVENTS } from './events.ts'
import { Line, type LineOwner, type LinePlatform, type LineSocket, type SocketSink } from './Line.ts'
import type { ConnectionState, LineEffect } from './machine.ts'
import type {
  DropReason,
  LayerHost,
  MessageContext,
  MessageLayer,
  SendOptions,
  SessionMessageLayer,
} from './messageLayer.ts'
import { MessageStream } from './messageStream.ts'
import type { ResolvedConnectionOptions, WebSocketClass } from './options.ts'
import { PlainLayer } from './plainLayer.ts'
import { MessageReceipt, messageId, type Receipt, unheard, volatileReceipt } from './receipt.ts'
import { type RequestId, Requests } from './requests.ts'
import { deriveStatus, type Status, type StatusEvent } from './status.ts'

/** What a socket is opened with. */
export interface SocketRequest {
  /** `ws:` or `wss:`, already checked. */
  readonly url: string
  /** For `Authorization: Bearer`, where the platform can send it. */
  readonly token: string | undefined
  /** The largest message to take, in bytes. */
  readonly maxPayload: number
  /** The socket alone does not keep the process alive. */
  readonly unref: boolean
  /** The subprotocols to offer: none, or a session's. */
  readonly protocols: string[]
  /** A class to use instead of the platform's own. */
  readonly WebSocket: WebSocketClass | undefined
}

/** All that a connection needs of the platform. */
export interface Platform extends LinePlatform {
  /** Whether its own sockets can send a token with the upgrade. */
  readonly sendsAuthorization: boolean
  /**
   * Begins to open a socket, and reports to `sink` from a later turn on.
   * @throws when the platform refuses the address outright
   */
  open(request: SocketRequest, sink: SocketSink): LineSocket
}

/** The part of an emitter that is used. */
export interface Listeners {
  listenerCount(name: string): number
  emit<K extends keyof ConnectionEvents<unknown>>(name: K, ...args: ConnectionEvents<unknown>[K]): boolean
  removeAllListeners(): unknown
}

/** What is looked at in a message from the server. */
interface Received {
  type?: unknown
  timestamp?: unknown
  request_id?: unknown
  id?: unknown
}

export type Handler = (message: unknown, context?: MessageContext) => unknown

export class Messenger implements LineOwner, LayerHost {
  readonly line: Line
  layer: MessageLayer
  /** The same layer, once it is a session's. */
  session: SessionMessageLayer | undefined
  handler: Handler | undefined
  status: Status = 'waiting'
  /** How many messages went where. */
  readonly tally = { sent: 0, received: 0, dropped: 0 }
  readonly #options: ResolvedConnectionOptions
  readonly #listeners: Listeners
  readonly #platform: Platform
  readonly #destination: Destination
  // Listeners are called in the order of what happened, and only after the deed: whatever one does then (send, close,
  // dispose, connect) meets a connection that is in order.
  #untold: (() => void)[] = []
  #telling = false
  #warned = false
  // Made when first needed: an idle connection has none of them.
  #requests: Requests | undefined
  #streams: Set<MessageStream<unknown>> | undefined
  #audio: AudioGate | undefined
  #pumpAt = Infinity
  /** The latest message queued while down: what it says about the status holds once it is sent. */
  #unsaid: unknown
  /** How messages were to be sent that came before the session's layer was there. */
  readonly #early = new Map<number, SendOptions>()
  #loading: Promise<void> | undefined
  #toCome: PromiseWithResolvers<void> | undefined
  #auth: string | undefined

  constructor(listeners: Listeners, options: ResolvedConnectionOptions, platform: Platform) {
    this.#listeners = listeners
    this.#options = options
    this.#platform = platform
    this.#destination = new Destination(options)
    this.line = new Line(this, options, platform)
    this.layer = new PlainLayer(this, options)
  }

  /** Chunks of live audio that came too late to be sent. */
  get droppedAudio(): number {
    return this.#audio?.dropped ?? 0
  }

  send(data: unknown, options?: SendOptions): Receipt {
    if (options?.volatile) return volatileReceipt(this.#sendVolatile(data, options))
    const receipt = new MessageReceipt(this, this.#submit(data, options))
    this.settled()
    return receipt
  }

  /** Sends a request and waits for its reply. */
  request(data: object, id: RequestId, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    this.#requests ??= new Requests(this, this.#options)
    this.#requests.assertFree(id)
    const reply = this.#requests.start(id, this.#submit(data), timeoutMs, signal)
    this.settled()
    return reply
  }

  /** Sends live audio, or keeps it for a moment; false when the line takes none. */
  streamAudio(data: unknown): boolean {
    const payload = encodeAudio(data, this.#options.audioFormat)
    this.#audio ??= new AudioGate()
    const audio = this.#audio
    const bytes = byteLength(payload)
    const now = this.#options.clock.now()
    const open = this.line.state === 'open'
    if (open && !audio.admits(bytes, now, this.line.buffered)) {
      audio.keep(snapshot(payload), bytes)
      this.#pump(now)
    } else if (!open || !this.layer.sendVolatile(payload, 0)) {
      audio.dropped += 1
      return false
    }
    this.#derive('audio')
    this.settled()
    return true
  }

  stream(): MessageStream<unknown> {
    const { maxQueueMessages, maxQueueBytes } = this.#options
    this.#streams ??= new Set()
    const streams = this.#streams
    const stream = new MessageStream<unknown>(maxQueueMessages, maxQueueBytes, () => streams.delete(stream))
    streams.add(stream)
    if (this.line.state === 'disposed') stream.end()
    return stream
  }

  /** Something failed: to be told once the connection is in order. */
  error(error: unknown): void {
    const reported = error instanceof Error ? error : new CommsError(String(error), { code: 'CONNECTION' })
    this.#log('warn', reported.message)
    this.#tell('error', reported)
  }

  /** A function of the app failed: told once whoever else is being called has been. */
  appFailed(error: unknown): void {
    this.error(error)
    queueMicrotask(() => this.settled())
  }

  // What the line asks and tells.

  async dial(): Promise<(sink: SocketSink) => LineSocket> {
    const { WebSocket, token, logger, maxPayload, unref, session: mode } = this.#options
    if (mode !== 'off') {
      this.#loading ??= this.#loadSession()
      // What could not be loaded is loaded anew at the next attempt.
      await this.#loading.catch((error) => {
        this.#loading = undefined
        throw error
      })
    }
    const { session } = this
    const able = this.#platform.sendsAuthorization && WebSocket === undefined
    if (!able && !session && token !== undefined && !this.#warned) {
      this.#warned = true
      // Said even without enableLogging: the app believes that it authenticates, and it does not.
      logger.warn(
        'GuruConnection: this platform cannot send option "token" with the upgrade, and it is never put into the URL',
      )
    }
    const address = await this.#destination.find(able || session !== undefined)
    const offer = session?.offer(address.url)
    this.#auth = able ? undefined : address.token
    return (sink) => {
      this.#log('info', `connecting to ${redactUrl(address.url)}`)
      const request = { url: address.url, token: able ? address.token : undefined }
      const protocols = offer === undefined ? [] : [offer]
      return this.#platform.open({ ...request, protocols, WebSocket, maxPayload, unref }, sink)
    }
  }

  get healthUrl(): string | undefined {
    return this.#destination.healthUrl
  }

  greet(protocol: string): boolean {
    return this.session?.greet(protocol, this.#auth) ?? true
  }

  goodbye(): boolean {
    return this.session?.goodbye(this.line.state === 'disposed') ?? false
  }

  get silenceKills(): boolean {
    return this.session?.ping !== undefined || this.#destination.answersPings
  }

  ping(socket: LineSocket): void {
    let { pingMessage, clock } = this.#options
    const { session } = this
    if (session?.ping !== undefined) {
      if (!socket.protocolPing) socket.send(session.ping)
      return
    }
    try {
      if (typeof pingMessage === 'function') pingMessage = pingMessage()
      if (pingMessage === undefined && !socket.protocolPing) {
        pingMessage = { type: 'ping', timestamp: clock.wallNow() }
      }
      if (pingMessage) socket.send(encode(pingMessage))
    } catch (error) {
      this.error(error)
    }
  }

  frame(data: Frame): void {
    if (this.session?.frame(data)) return
    this.receive(data)
  }

  /**
   * A message came in. `number`: its number in the session, 0 for none.
   * @returns what the handler returned
   */
  receive(data: Frame, number = 0, redelivered = false): unknown {
    let result: unknown
    this.tally.received += 1
    if (typeof data === 'string') {
      const message = decodeText(data)
      const object = typeof message === 'object' && message !== null ? (message as Received) : undefined
      const type = object?.type
      // Pings and pongs are the line's own: the app does not see them. A session has others.
      if (number === 0 && type === 'pong') {
        this.#destination.sawPong()
        return undefined
      }
      if (number === 0 && (type === 'ping' || type === 'heartbeat')) {
        this.line.write(JSON.stringify({ type: 'pong', timestamp: object?.timestamp }))
        return undefined
      }
      this.#derive('received', message)
      result = this.#deliver(message, data.length, number, redelivered)
      // The commonest type, compared before anything is looked up.
      if (type !== 'message' && typeof type === 'string' && !OWN_EVENTS.has(type)) {
        // The cast names any event of the table: the check before it says that it is none of them.
        this.#listeners.emit(type as 'message', message)
      }
      if (object) this.#requests?.settle(object)
    } else {
      result = this.#deliver(toArrayBuffer(data), data.byteLength, number, redelivered)
    }
    this.settled()
    return result
  }

  changed(state: ConnectionState, before: ConnectionState): void {
    this.#log('info', `${before} -> ${state}`)
    if (before === 'open') {
      this.#audio?.clear()
      this.#pumpAt = Infinity
      if (!this.layer.lossless) this.#requests?.lineLost()
    }
    this.#tell('connectionState', state, before)
    this.#derive(state === 'open' || state === 'failed' ? state : 'down')
    switch (state) {
      case 'open':
        this.#opened()
        break
      case 'failed':
        this.#endStreams(new CommsError('the connection was given up', { code: 'CONNECTION' }))
        break
      case 'closing':
        this.#over(state)
        break
      case 'closed':
      case 'disposed':
        this.#over(state)
        this.#endStreams()
    }
  }

  tell(effect: LineEffect, before: ConnectionState): void {
    switch (effect.do) {
      case 'tellError':
        this.error(effect.error)
        break
      case 'tellClose': {
        const { close } = effect
        this.#log('info', `closed: ${close.code} ${close.reason}`)
        this.#tell('close', close)
        this.layer.ended(close.code)
        if (before === 'open' || before === 'closing') this.#tell('disconnected', close)
        break
      }
      case 'tellReconnecting': {
        const { attempt, delay } = effect
        this.#log('info', `attempt ${attempt} in ${Math.round(delay)} ms at the latest`)
        this.#tell('reconnecting', { attempt, delay })
        break
      }
      case 'tellGivenUp':
        this.#tell('max_reconnect_attempts', { attempts: effect.attempts })
        break
      case 'stable':
        this.layer.stable()
    }
  }

  /** The connection is in order: now listeners are called, those included that what they do brings about. */
  settled(): void {
    if (this.#telling || this.#untold.length === 0) return
    this.#telling = true
    // Each is an emit, and emit never throws.
    for (const tell of this.#untold) tell()
    this.#untold = []
    this.#telling = false
  }

  get wakeAt(): number {
    return Math.min(this.layer.wakeAt, this.#pumpAt)
  }

  wake(now: number): void {
    this.layer.wake(now)
    if (now >= this.#pumpAt) this.#pump(now)
  }

  // What the layer asks and tells.

  write(payload: Payload): boolean {
    if (!this.line.write(payload)) return false
    this.tally.sent += 1
    return true
  }

  dropped(seq: number, data: Payload, reason: DropReason): void {
    const id = messageId(seq)
    const message = `message ${id} was dropped from the queue: ${reason}`
    this.tally.dropped += 1
    this.#log('warn', message)
    // Not earlier: the request may be about to be noted.
    this.#untold.push(() => this.#requests?.dropped(seq, new CommsError(message, { code: 'DROPPED' })))
    this.#tell('dropped', { id, reason, data })
  }

  /** Gives a message of the app to the layer; returns its number. */
  #submit(data: unknown, options?: SendOptions): number {
    const { state } = this.line
    if (state === 'disposed') throw disposed('send')
    if (state === 'closing' || state === 'closed') {
      throw new CommsError('send: the connection is closed; connect() opens it again', { code: 'CONNECTION' })
    }
    if (options && this.#options.session === 'off' && (options.priority || options.ttl !== undefined)) {
      throw new CommsError('send: "priority" and "ttl" take a session', { code: 'UNSUPPORTED' })
    }
    const seq = this.layer.send(encode(data), this.#options.clock.now(), options)
    if (options && !this.session) this.#early.set(seq, options)
    if (state === 'open') {
      this.#derive('sent', data)
    } else {
      this.#unsaid = data
      this.line.arm()
    }
    return seq
  }

  #sendVolatile(data: unknown, { stream = 0 }: SendOptions): boolean {
    if (this.line.state === 'disposed') throw disposed('send')
    return this.line.state === 'open' && this.layer.sendVolatile(encode(data), stream)
  }

  get sessionToCome(): Promise<void> | undefined {
    if (this.session || this.#options.session === 'off') return undefined
    this.#toCome ??= Promise.withResolvers()
    return unheard(this.#toCome.promise)
  }

  /** Whoever has no session does not load what makes one. */
  async #loadSession(): Promise<void> {
    if (this.session) return
    const { SessionLayer } = await import('./sessionLayer.ts')
    const session = new SessionLayer(this, this.#options)
    await session.load()
    session.adopt(this.layer as PlainLayer, this.#early)
    this.#early.clear()
    this.session = session
    this.layer = session
    this.#toCome?.resolve()
    if (this.line.state === 'disposed') session.discard('disposed')
  }

  #opened(): void {
    this.layer.opened(this.#options.clock.now())
    if (this.#unsaid !== undefined) this.#derive('sent', this.#unsaid)
    this.#unsaid = undefined
    this.#tell('open')
    this.#tell('connected')
  }

  /** Closed or about to: nothing more will be sent. */
  #over(state: 'closing' | 'closed' | 'disposed'): void {
    this.#unsaid = undefined
    this.layer.discard(state)
    this.#requests?.rejectAll(
      state === 'disposed'
        ? disposed('request')
        : new CommsError('the connection was closed before the reply', { code: 'CONNECTION' }),
    )
    if (state === 'disposed') this.#toCome?.reject(disposed('send'))
    if (state === 'disposed') this.#untold.push(() => this.#listeners.removeAllListeners())
  }

  #endStreams(error?: Error): void {
    for (const stream of this.#streams ?? []) stream.end(error)
  }

  #deliver(message: unknown, bytes: number, number: number, redelivered: boolean): unknown {
    const { handler } = this
    const context = number === 0 || !handler ? undefined : this.session?.context(number, redelivered)
    const result = handler && this.#handle(handler, message, context)
    this.#listeners.emit('message', message)
    if (this.#streams) for (const stream of this.#streams) stream.push(message, bytes)
    return result
  }

  /** What comes back settles when the handler has, and never rejects. */
  #handle(handler: Handler, message: unknown, context: MessageContext | undefined): unknown {
    try {
      const result = handler(message, context)
      return result instanceof Promise ? result.catch((error) => this.appFailed(error)) : undefined
    } catch (error) {
      this.appFailed(error)
      return undefined
    }
  }

  #derive(event: StatusEvent, message?: unknown): void {
    const before = this.status
    try {
      this.status = (this.#options.deriveStatus ?? deriveStatus)(before, event, message)
    } catch (error) {
      this.error(error)
    }
    if (this.status !== before) this.#tell('statusChange', this.status, before)
  }

  /** Sends what kept audio the socket has room for, and sees to it that the rest gets its turn. */
  #pump(now: number): void {
    const audio = this.#audio
    if (!audio) return
    for (let chunk = audio.next(this.line.buffered); chunk; chunk = audio.next(this.line.buffered)) {
      if (!this.layer.sendVolatile(chunk, 0)) audio.dropped += 1
    }
    this.#pumpAt = audio.waiting > 0 ? now + PUMP_MS : Infinity
    this.line.arm()
  }

  hears(name: keyof ConnectionEvents): boolean {
    return this.#listeners.listenerCount(name) > 0
  }

  inDoubt(seq: number, error: Error): void {
    this.#requests?.dropped(seq, error)
  }

  /** Something to be told once the connection is in order. */
  tellLater<K extends keyof ConnectionEvents>(name: K, ...args: ConnectionEvents[K]): void {
    this.#tell(name, ...args)
  }

  #tell<K extends keyof ConnectionEvents>(name: K, ...args: ConnectionEvents[K]): void {
    this.#untold.push(() => this.#listeners.emit(name, ...args))
  }

  #log(level: 'info' | 'warn', text: string): void {
    if (this.#options.enableLogging) this.#options.logger[level](`[GuruConnection] ${text}`)
  }
}

/** The error of what is called after `dispose()`. */
export function disposed(what: string): CommsError {
  return new CommsError(`${what}: the connection has been disposed of`, { code: 'DISPOSED' })
}
