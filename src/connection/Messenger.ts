// The app's messages on a line that keeps itself up: what goes to the queue, the wire, the listeners, the status.
// It owns no socket and no timer; how messages are kept and numbered is the layer's affair.

import { CommsError } from '../core/errors.ts'
import type { CloseDecision } from '../session/closeDecision.ts'
import { DeferredEvents } from '../session/deferredEvents.ts'
import {
  LOST_VOLATILE,
  MessageReceipt,
  messageId,
  type Receipt,
  type ReceiptOwner,
  SENT_VOLATILE,
  unheard,
} from '../session/receipts.ts'
import { encodeAudio } from './audioFrame.ts'
import { AudioGate, PUMP_MS } from './audioGate.ts'
import {
  byteLength,
  decodeText,
  encode,
  type Frame,
  type Payload,
  snapshot,
  toArrayBuffer,
  type Utf8Length,
} from './encoding.ts'
import { type ConnectionEvents, OWN_EVENTS } from './events.ts'
import { Line, type LineNews, type LineOwner, type LineProtocol } from './Line.ts'
import type { Platform } from './LineSocket.ts'
import { type ConnectionState, toError } from './machine.ts'
import type {
  DropReason,
  LayerHost,
  MessageContext,
  MessageLayer,
  SendOptions,
  SessionMessageLayer,
} from './messageLayer.ts'
import { MessageStream } from './messageStream.ts'
import type { ResolvedConnectionOptions } from './options.ts'
import { PlainLayer } from './plainLayer.ts'
import type { CloseInfo } from './reconnect.ts'
import { type RequestId, Requests } from './requests.ts'
import type { Status, StatusEvent } from './status.ts'
import type { FailedUpgrade } from './subprotocolOffer.ts'
import { Waiters } from './waiters.ts'

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

/** What the log may tell of an event: nothing of any message. */
const LOGGED = ['id', 'code', 'reason', 'wasClean', 'attempt', 'delay', 'attempts']

export type Handler = (message: unknown, context?: MessageContext) => unknown

export class Messenger implements LineOwner, LayerHost, ReceiptOwner {
  readonly line: Line
  layer: MessageLayer
  /** The same layer, once it is a session's. */
  session: SessionMessageLayer | undefined
  readonly utf8Length: Utf8Length | undefined
  handler: Handler | undefined
  status: Status = 'waiting'
  /** How many messages went where. */
  readonly tally = { sent: 0, received: 0, dropped: 0 }
  readonly #options: ResolvedConnectionOptions
  readonly #listeners: Listeners
  /**
   * Listeners are called in the order of what happened, and only after the deed: whatever one does then (send, close,
   * dispose, connect) meets a connection that is in order.
   */
  readonly events = new DeferredEvents()
  // Made when first needed: an idle connection has none of them.
  #requests: Requests | undefined
  #streams: Set<MessageStream<unknown>> | undefined
  #audio: AudioGate | undefined
  #pumpAt = Infinity
  /** The latest message queued while down: what it says about the status holds once it is sent. */
  #unsaid: unknown
  /** Whether the app wishes the connection closed: whatever else ends a line, what waits stays. */
  #closedByApp = false
  readonly #waiters = new Waiters()
  /** The layer, while it is the plain one. */
  #plain: PlainLayer | undefined
  #loading: Promise<void> | undefined
  #toCome: PromiseWithResolvers<void> | undefined

  constructor(listeners: Listeners, options: ResolvedConnectionOptions, platform: Platform) {
    this.#listeners = listeners
    this.#options = options
    this.utf8Length = platform.utf8Length
    this.line = new Line(this, options, platform)
    this.#plain = new PlainLayer(this, options)
    this.layer = this.#plain
    if (
      options.session === 'off' &&
      options.token !== undefined &&
      (options.WebSocket || !platform.sendsAuthorization)
    ) {
      // Said even without enableLogging: the app believes that it authenticates, and it does not.
      options.logger.warn(
        'GuruConnection: this platform cannot send option "token" with the upgrade, and it is never put into the URL',
      )
    }
  }

  /** Chunks of live audio that came too late to be sent. */
  get droppedAudio(): number {
    return this.#audio?.dropped ?? 0
  }

  send(data: unknown, options?: SendOptions): Receipt {
    if (options?.volatile) return this.#sendVolatile(data, options) ? SENT_VOLATILE : LOST_VOLATILE
    const receipt = new MessageReceipt(this, this.#submit(data, options))
    this.settled()
    return receipt
  }

  /** The app wants a line, now. */
  connect(): void {
    this.#closedByApp = false
    this.line.step({ type: 'connect' })
  }

  /** The app has no more use for the line: what waits is dropped, and a session ends. */
  close(code: number, reason: string): void {
    this.#closedByApp = true
    this.line.step({ type: 'close', code, reason })
  }

  /** Sends a request and waits for its reply. */
  request(data: object, id: RequestId, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    this.#requests ??= new Requests(this, this.#options)
    const reply = this.#requests.start(id, () => this.#submit(data), timeoutMs, signal)
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
    this.#tell('error', toError(error))
  }

  /** A function of the app failed: told once whoever else is being called has been. */
  appFailed(error: unknown): void {
    this.error(error)
    queueMicrotask(() => this.settled())
  }

  // What the line asks and tells.

  async protocol(): Promise<LineProtocol | undefined> {
    if (this.#options.session === 'off') return undefined
    this.#loading ??= this.#loadSession()
    // What could not be loaded is loaded anew at the next attempt.
    await this.#loading.catch((error) => {
      this.#loading = undefined
      throw error
    })
    return this.session
  }

  frame(data: Frame): void {
    if (this.session?.frame(data)) return
    this.#plain?.heard()
    this.receive(data)
  }

  numbered(number: number, text: string): void {
    if (!this.session?.numbered(number, text)) this.receive(`${number}:${text}`)
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
        this.line.sawPong()
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
    if (before === 'open') {
      this.#audio?.clear()
      this.#pumpAt = Infinity
      if (!this.layer.lossless) {
        const message = 'the line broke before the reply; the request may have been handled'
        this.#requests?.fail(connectionError(message), ({ seq }) => !this.layer.queued(seq))
      }
    }
    this.#tell('connectionState', state, before)
    this.#derive(state === 'open' || state === 'failed' ? state : 'down')
    switch (state) {
      case 'open':
        this.layer.opened(this.#options.clock.now())
        if (this.#unsaid !== undefined) this.#derive('sent', this.#unsaid)
        this.#unsaid = undefined
        this.#tell('open')
        this.#tell('connected')
        break
      case 'failed':
        this.#waiters.end(connectionError('the connection was given up: connect() goes on'))
        this.#endStreams(connectionError('the connection was given up'))
        break
      case 'closing':
      case 'closed':
      case 'disposed': {
        const gone = state === 'disposed'
        this.#unsaid = undefined
        if (gone || (state === 'closed' && this.#closedByApp)) this.layer.discard(gone)
        if (state !== 'closing')
          this.#waiters.end(gone ? disposed('waiting') : connectionError('the connection is closed'))
        if (gone) this.#toCome?.reject(disposed('send'))
        this.#requests?.fail(gone ? disposed('request') : connectionError('closed before the reply came'))
        if (state !== 'closing') this.#endStreams()
        if (gone) this.events.add(() => this.#listeners.removeAllListeners())
      }
    }
  }

  tell(news: LineNews, before: ConnectionState): void {
    // The cast: name and event of one piece of news belong together.
    this.#tell(news.name as 'error', news.event as Error)
    if (news.name !== 'close') return
    // 1000 would be the end of the session. Disposed of, it may be taken up from its storage: it broke off.
    this.layer.ended(this.line.state === 'disposed' ? 1006 : news.event.code)
    if (before === 'open' || before === 'closing') this.#tell('disconnected', news.event)
  }

  ended({ code }: CloseInfo, upgrade: FailedUpgrade): CloseDecision | undefined {
    return this.session?.lineEnded(code, upgrade)
  }

  stable(): void {
    this.layer.stable()
  }

  /** The connection is in order: now listeners are called, those included that what they do brings about. */
  settled(): void {
    this.#waiters.look()
    this.events.run()
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

  writeNumbered(number: number, text: string): boolean {
    if (!this.line.writeNumbered(number, text)) return false
    this.tally.sent += 1
    return true
  }

  dropped(seq: number, data: Payload, reason: DropReason): void {
    const id = messageId(seq)
    const message = `message ${id} was dropped from the queue: ${reason}`
    this.tally.dropped += 1
    // Not earlier: the request may be about to be noted.
    const error = new CommsError(message, { code: 'DROPPED' })
    this.events.add(() => this.#requests?.fail(error, (pending) => pending.seq === seq))
    this.#tell('dropped', { id, reason, data })
  }

  /** Whether the messages of earlier processes are known. */
  get isLoaded(): boolean {
    return this.#options.session === 'off' || this.session !== undefined
  }

  /** Resolves when they are. */
  load(): Promise<void> {
    return this.#until(() => this.isLoaded, this.isLoaded ? undefined : this.protocol())
  }

  /** Resolves when nothing waits behind the window, or for a line. */
  ready(): Promise<void> {
    return this.#until(() => this.layer.queuedMessages === 0)
  }

  /** Resolves when every message that was accepted has its fate. */
  allSettled(): Promise<void> {
    const isSettled = () =>
      this.isLoaded && this.layer.queuedMessages === 0 && (this.session?.unacknowledgedMessages ?? 0) === 0
    return this.#until(isSettled)
  }

  #until(isMet: () => boolean, begun?: Promise<unknown>): Promise<void> {
    const { state } = this.line
    const promise = this.#waiters.when(isMet)
    // What is being loaded is looked at again when it is; a failure is told by the attempt that needs it.
    begun?.then(
      () => this.#waiters.look(),
      (error) => this.#waiters.end(toError(error)),
    )
    if (state === 'disposed') this.#waiters.end(disposed('waiting'))
    else if (!begun && state === 'failed') this.#waiters.end(connectionError('the connection was given up'))
    else if (!begun && state === 'closed') this.#waiters.end(connectionError('the connection is closed'))
    return promise
  }

  /** Gives a message of the app to the layer; returns its number. */
  #submit(data: unknown, options?: SendOptions): number {
    const { state } = this.line
    if (state === 'disposed') throw disposed('send')
    if (state === 'closing' || state === 'closed') {
      throw connectionError('send: the connection is closed; connect() opens it again')
    }
    if (options && this.#options.session === 'off' && (options.priority || options.ttl !== undefined)) {
      throw new CommsError('send: "priority" and "ttl" take a session', { code: 'UNSUPPORTED' })
    }
    const seq = this.layer.send(encode(data), this.#options.clock.now(), options)
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

  idOf(seq: number): string {
    return messageId(seq)
  }

  stored(seq: number): Promise<void> {
    return this.#ask((layer) => layer.stored(seq))
  }

  delivered(seq: number): Promise<void> {
    return this.#ask((layer) => layer.delivered(seq))
  }

  cancel(seq: number): boolean {
    return this.layer.withdraw(seq)
  }

  /** Asks the layer that knows: where a session is to come, that one. */
  #ask(question: (layer: MessageLayer) => Promise<void>): Promise<void> {
    if (this.session || this.#options.session === 'off') return question(this.layer)
    this.#toCome ??= Promise.withResolvers()
    return unheard(this.#toCome.promise.then(() => question(this.layer)))
  }

  /** Whoever has no session does not load what makes one. */
  async #loadSession(): Promise<void> {
    if (this.session) return
    const { SessionLayer } = await import('./sessionLayer.ts')
    const session = new SessionLayer(this, this.#options)
    await session.load()
    session.adopt(this.layer as PlainLayer)
    this.#plain = undefined
    this.session = session
    this.layer = session
    this.#toCome?.resolve()
    if (this.line.state === 'disposed') session.discard(true)
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
      const status = this.#options.deriveStatus(before, event, message)
      if (status === before) return
      this.status = status
      this.#tell('statusChange', status, before)
    } catch (error) {
      this.error(error)
    }
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
    this.#requests?.fail(error, (pending) => pending.seq === seq)
  }

  #tell<K extends keyof ConnectionEvents>(name: K, ...args: ConnectionEvents[K]): void {
    this.events.add(() => this.emit(name, ...args))
  }

  /** Calls listeners, now. */
  emit<K extends keyof ConnectionEvents>(name: K, ...args: ConnectionEvents[K]): void {
    const { enableLogging, logger } = this.#options
    if (enableLogging) {
      const [about] = args
      const words = about instanceof Error ? about.message : JSON.stringify(about, LOGGED)
      logger[name === 'error' || name === 'dropped' ? 'warn' : 'info'](
        `[GuruConnection] ${name} ${words ?? ''}`,
      )
    }
    this.#listeners.emit(name, ...args)
  }
}

function connectionError(message: string): CommsError {
  return new CommsError(message, { code: 'CONNECTION' })
}

/** The error of what is called after `dispose()`. */
export function disposed(what: string): CommsError {
  return new CommsError(`${what}: the connection has been disposed of`, { code: 'DISPOSED' })
}
