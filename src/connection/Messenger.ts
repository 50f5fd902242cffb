// The app's messages on a line that keeps itself up: what goes to the queue, the wire, the listeners, the status.
// It owns no socket and no timer; how messages are kept and numbered is the layer's affair.

import { CommsError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { AudioGate, PUMP_MS } from './audioGate.ts'
import { type Address, Destination } from './destination.ts'
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
import type { DropReason, LayerHost, MessageLayer } from './messageLayer.ts'
import { MessageStream } from './messageStream.ts'
import type { ResolvedConnectionOptions } from './options.ts'
import { PlainLayer } from './plainLayer.ts'
import { messageId } from './receipt.ts'
import type { CloseInfo } from './reconnect.ts'
import { type RequestId, Requests } from './requests.ts'
import { Speech } from './speech.ts'
import { concernsTheLine, deriveStatus, type Status, type StatusEvent } from './status.ts'

/** How sockets are opened. */
export interface Dialer {
  /** Whether a token can travel in the upgrade. */
  sendsAuthorization(options: ResolvedConnectionOptions): boolean
  /** Begins to open a socket; may throw. */
  open(address: Address, options: ResolvedConnectionOptions, sink: SocketSink): LineSocket
}

/** The part of an emitter that is used. */
export interface Listeners {
  emit<K extends keyof ConnectionEvents<unknown>>(name: K, ...args: ConnectionEvents<unknown>[K]): boolean
  listenerCount(name: string): number
  eventNames(): string[]
  removeAllListeners(): unknown
}

export type Handler = (message: unknown) => unknown

/** How many messages went where. */
export interface Tally {
  sent: number
  received: number
  dropped: number
  droppedAudio: number
}

export class Messenger implements LineOwner<Address>, LayerHost {
  readonly line: Line<Address>
  readonly layer: MessageLayer
  handler: Handler | undefined
  readonly #options: ResolvedConnectionOptions
  readonly #listeners: Listeners
  readonly #dialer: Dialer
  readonly #destination: Destination
  readonly #speech = new Speech()
  #status: Status = 'waiting'
  #sent = 0
  #received = 0
  #dropped = 0
  #warned = false
  // Made when first needed: an idle connection has none of them.
  #requests: Requests | undefined
  #streams: Set<MessageStream<unknown>> | undefined
  #audio: AudioGate | undefined
  #pumpAt = Infinity
  /** The latest message queued while down: what it says about the status holds once it is sent. */
  #unsaid: unknown

  constructor(
    listeners: Listeners,
    options: ResolvedConnectionOptions,
    dialer: Dialer,
    platform: LinePlatform,
  ) {
    this.#listeners = listeners
    this.#options = options
    this.#dialer = dialer
    this.#destination = new Destination(options)
    this.line = new Line(this, options, platform)
    this.layer = new PlainLayer(this, options)
  }

  get status(): Status {
    return this.#status
  }

  get tally(): Tally {
    return {
      sent: this.#sent,
      received: this.#received,
      dropped: this.#dropped,
      droppedAudio: this.#audio?.dropped ?? 0,
    }
  }

  /** Gives a message of the app to the layer; returns its number. Call `settled` afterwards. */
  submit(data: unknown): number {
    const { state } = this.line
    if (state === 'disposed') throw disposed('send')
    if (state === 'closing' || state === 'closed') {
      throw new CommsError('send: the connection is closed; connect() opens it again', { code: 'CONNECTION' })
    }
    const seq = this.layer.send(encode(data), this.#options.clock.now())
    if (state === 'open') {
      this.#derive('sent', data)
    } else {
      this.#unsaid = data
      if (this.#options.maxQueueAge !== Infinity) this.line.arm()
    }
    return seq
  }

  /** Sends a request and waits for its reply. */
  request(data: object, id: RequestId, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    this.#requests ??= new Requests(this.layer, this.#options.clock, this.#options.unref)
    const requests = this.#requests
    requests.assertFree(id)
    const seq = this.submit(data)
    const reply = this.layer.accepted(seq)
      ? requests.start(id, seq, timeoutMs, signal)
      : Promise.reject(undelivered(messageId(seq), 'overflow'))
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
    } else if (!open || !this.line.write(payload)) {
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
    const onEnd = (ended: MessageStream<unknown>) => streams.delete(ended)
    const stream = new MessageStream<unknown>(maxQueueMessages, maxQueueBytes, onEnd)
    if (this.line.state === 'disposed') stream.end()
    else streams.add(stream)
    return stream
  }

  // What the line asks and tells.

  address(): Promise<Address> {
    const able = this.#dialer.sendsAuthorization(this.#options)
    if (!able && this.#options.token !== undefined && !this.#warned) {
      this.#warned = true
      // Said even without enableLogging: the app believes that it authenticates, and it does not.
      this.#options.logger.warn(
        'GuruConnection: this platform cannot send option "token" with the upgrade, and it is never put into the URL',
      )
    }
    return this.#destination.find(able)
  }

  open(address: Address, sink: SocketSink): LineSocket {
    this.#log('info', `connecting to ${redactUrl(address.url)}`)
    return this.#dialer.open(address, this.#options, sink)
  }

  get healthUrl(): string | undefined {
    return this.#destination.healthUrl
  }

  get silenceKills(): boolean {
    return this.#destination.answersPings
  }

  ping(socket: LineSocket): void {
    let { pingMessage } = this.#options
    try {
      if (typeof pingMessage === 'function') pingMessage = pingMessage()
      if (pingMessage === undefined && !socket.protocolPing) {
        pingMessage = { type: 'ping', timestamp: this.#options.clock.wallNow() }
      }
      if (pingMessage) socket.send(encode(pingMessage))
    } catch (error) {
      this.error(error)
    }
  }

  frame(data: Frame): void {
    this.#received += 1
    const observed = this.#isObserved()
    if (typeof data !== 'string') {
      if (observed) this.#deliver(toArrayBuffer(data), data.byteLength)
    } else if (observed || concernsTheLine(data)) {
      // What nobody would see and the line need not see stays unparsed.
      const message = decodeText(data)
      if (typeof message === 'object' && message !== null && this.#isOurs(message)) return
      this.#derive('received', message)
      this.#deliver(message, data.length)
    }
    this.settled()
  }

  changed(state: ConnectionState, before: ConnectionState, close: CloseInfo | undefined): void {
    this.#log('info', `${before} -> ${state}${close ? ` (${close.code} ${close.reason})` : ''}`)
    const wasOpen = before === 'open' || before === 'closing'
    if (before === 'open') {
      this.#audio?.clear()
      this.#pumpAt = Infinity
      this.#requests?.lineLost()
    }
    if (close && wasOpen) {
      this.layer.ended(close.code)
      this.#speech.say(() => this.#listeners.emit('disconnected', close))
    }
    this.#speech.say(() => this.#listeners.emit('connectionState', state, before))
    this.#derive(state === 'open' ? 'open' : state === 'failed' ? 'failed' : 'down')
    if (state === 'open') this.#opened()
    else if (state === 'failed')
      this.#endStreams(new CommsError('the connection was given up', { code: 'CONNECTION' }))
    else if (state === 'closing' || state === 'closed' || state === 'disposed') this.#over(state)
  }

  stable(): void {
    this.layer.stable()
  }

  tell(effect: LineEffect): void {
    switch (effect.do) {
      case 'tellError':
        this.error(effect.error)
        break
      case 'tellClose':
        this.#speech.say(() => this.#listeners.emit('close', effect.close))
        break
      case 'tellReconnecting': {
        const { attempt, delay } = effect
        this.#log('info', `attempt ${attempt} in ${Math.round(delay)} ms at the latest`)
        this.#speech.say(() => this.#listeners.emit('reconnecting', { attempt, delay }))
        break
      }
      case 'tellGivenUp':
        this.#speech.say(() => this.#listeners.emit('max_reconnect_attempts', { attempts: effect.attempts }))
        break
    }
  }

  /** The connection is in order: now listeners may be called. */
  settled(): void {
    this.#speech.speak()
  }

  get wakeAt(): number {
    return Math.min(this.layer.expiresAt, this.#pumpAt)
  }

  wake(now: number): void {
    this.layer.expire(now)
    if (now >= this.#pumpAt) this.#pump(now)
  }

  // What the layer asks and tells.

  write(payload: Payload): boolean {
    if (!this.line.write(payload)) return false
    this.#sent += 1
    return true
  }

  dropped(seq: number, data: Payload, reason: DropReason): void {
    this.#dropped += 1
    const id = messageId(seq)
    this.#log('warn', `message ${id} dropped: ${reason}`)
    this.#speech.say(() => {
      this.#requests?.dropped(seq, undelivered(id, reason))
      this.#listeners.emit('dropped', { id, reason, data })
    })
  }

  error(error: unknown): void {
    const reported = error instanceof Error ? error : new CommsError(String(error), { code: 'CONNECTION' })
    this.#log('warn', reported.message)
    this.#speech.say(() => this.#listeners.emit('error', reported))
  }

  #opened(): void {
    this.layer.opened(this.#options.clock.now())
    const unsaid = this.#unsaid
    this.#unsaid = undefined
    if (unsaid !== undefined) this.#derive('sent', unsaid)
    this.#speech.say(() => {
      this.#listeners.emit('open')
      this.#listeners.emit('connected')
    })
  }

  /** Closed or about to: nothing more will be sent. */
  #over(state: 'closing' | 'closed' | 'disposed'): void {
    this.#unsaid = undefined
    this.layer.discard()
    this.#requests?.rejectAll(
      state === 'disposed'
        ? disposed('request')
        : new CommsError('the connection was closed before the reply', { code: 'CONNECTION' }),
    )
    if (state !== 'closing') this.#endStreams()
    if (state === 'disposed') this.#speech.say(() => this.#listeners.removeAllListeners())
  }

  #endStreams(error?: Error): void {
    if (this.#streams) for (const stream of this.#streams) stream.end(error)
  }

  /** Whether anybody could look at a message. */
  #isObserved(): boolean {
    return (
      this.#listeners.listenerCount('message') > 0 ||
      this.handler !== undefined ||
      this.#options.deriveStatus !== undefined ||
      (this.#streams !== undefined && this.#streams.size > 0) ||
      (this.#requests !== undefined && this.#requests.size > 0) ||
      this.#listeners.eventNames().some((name) => !OWN_EVENTS.has(name))
    )
  }

  /** Answers a ping and takes note of a pong: these are the line's own, the app does not see them. */
  #isOurs(message: { type?: unknown; timestamp?: unknown }): boolean {
    const { type, timestamp } = message
    if (type === 'pong') {
      this.#destination.sawPong()
      return true
    }
    if (type !== 'ping' && type !== 'heartbeat') return false
    this.line.write(JSON.stringify({ type: 'pong', timestamp }))
    return true
  }

  #deliver(message: unknown, bytes: number): void {
    if (this.handler) this.#handle(this.handler, message)
    this.#listeners.emit('message', message)
    if (this.#streams) for (const stream of this.#streams) stream.push(message, bytes)
    if (typeof message !== 'object' || message === null) return
    const { type } = message as { type?: unknown }
    // The commonest type, compared before anything is looked up.
    if (type !== 'message' && typeof type === 'string' && !OWN_EVENTS.has(type)) {
      // The cast names any event of the table: the check before it says that it is none of them.
      this.#listeners.emit(type as 'message', message)
    }
    if (this.#requests !== undefined && this.#requests.size > 0) this.#requests.settle(message)
  }

  #handle(handler: Handler, message: unknown): void {
    try {
      const result = handler(message)
      if (result instanceof Promise) result.catch((error) => this.#failedHandler(error))
    } catch (error) {
      this.error(error)
    }
  }

  #failedHandler(error: unknown): void {
    this.error(error)
    this.settled()
  }

  #derive(event: StatusEvent, message?: unknown): void {
    const before = this.#status
    const derive = this.#options.deriveStatus ?? deriveStatus
    try {
      this.#status = derive(before, event, message)
    } catch (error) {
      this.error(error)
    }
    const status = this.#status
    if (status !== before) this.#speech.say(() => this.#listeners.emit('statusChange', status, before))
  }

  /** Sends what kept audio the socket has room for, and sees to it that the rest gets its turn. */
  #pump(now: number): void {
    const audio = this.#audio
    if (!audio) return
    for (let chunk = audio.next(this.line.buffered); chunk; chunk = audio.next(this.line.buffered)) {
      if (!this.line.write(chunk)) audio.dropped += 1
    }
    this.#pumpAt = audio.waiting > 0 ? now + PUMP_MS : Infinity
    this.line.arm()
  }

  #log(level: 'info' | 'warn', text: string): void {
    if (this.#options.enableLogging) this.#options.logger[level](`[GuruConnection] ${text}`)
  }
}

/** The error of what is called after `dispose()`. */
export function disposed(what: string): CommsError {
  return new CommsError(`${what}: the connection has been disposed of`, { code: 'DISPOSED' })
}

function undelivered(id: string, reason: DropReason): CommsError {
  return new CommsError(`message ${id} was dropped from the queue: ${reason}`, { code: 'DROPPED' })
}
