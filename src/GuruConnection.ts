// The WebSocket side of the library as its users see it: options, methods, events.
// What happens on the line is decided and carried out in connection/, the sockets are those of transport/.

/// <reference lib="esnext.disposable" preserve="true" />

import type { ConnectionEvents, MessagesByType, OtherEvents, Question } from './connection/events.ts'
import { disposed, type Handler, type Listeners, Messenger } from './connection/Messenger.ts'
import type { ConnectionState } from './connection/machine.ts'
import type { MessageContext, SendOptions } from './connection/messageLayer.ts'
import {
  type ConnectionOptions,
  checkConnectionOption,
  closeCodeRule,
  closeReasonRule,
  type Provider,
  type ResolvedConnectionOptions,
  resolveConnectionOptions,
  sendRules,
  streamRule,
} from './connection/options.ts'
import { type RequestId, type RequestOptions, resolveRequestOptions } from './connection/requests.ts'
import type { Status } from './connection/status.ts'
import { Emitter } from './core/emitter.ts'
import { CommsError } from './core/errors.ts'
import { callable, checkOption, checkOptions } from './core/options.ts'
import type { Receipt } from './session/receipts.ts'
import { platform } from './transport/platform.ts'

export type { ConnectionEvents, LostSession, ReportedError } from './connection/events.ts'
export type { ConnectionState } from './connection/machine.ts'
export type { DroppedMessage, DropReason, MessageContext, SendOptions } from './connection/messageLayer.ts'
export type {
  ConnectionOptions as GuruConnectionOptions,
  Provider,
  WebSocketClass,
  WebSocketLike,
} from './connection/options.ts'
export type { ProtocolMemory, Spoken } from './connection/protocolMemory.ts'
export type { CloseInfo } from './connection/reconnect.ts'
export type { RequestId, RequestOptions } from './connection/requests.ts'
export type { DeriveStatus, Status, StatusEvent } from './connection/status.ts'
export type { Receipt } from './session/receipts.ts'

const OWNER = 'GuruConnection'

/** Options that may be changed later. */
const CHANGEABLE = ['url', 'enableLogging', 'reconnectDelay', 'pingInterval', 'healthInterval'] as const

/** The messages of a connection: `in` what the server sends, `out` what the app sends. */
export interface MessageTypes {
  in: unknown
  out: unknown
}

/** A snapshot of a connection. */
export interface ConnectionStats {
  connected: boolean
  connectionState: ConnectionState
  status: Status
  /** Automatic attempts since the last line that worked. */
  reconnectAttempts: number
  queuedMessages: number
  queuedBytes: number
  /** Whether `storage` is still to be read: messages of earlier processes are not counted yet. */
  loading: boolean
  /** Messages that were sent and not acknowledged; 0 without a session. */
  unacknowledgedMessages: number
  sentMessages: number
  receivedMessages: number
  droppedMessages: number
  /** Chunks of live audio that came too late to be sent. */
  droppedAudio: number
  /** Bytes in the socket that the network has not taken. */
  bufferedAmount: number
  /** Milliseconds that the latest answered ping took; `undefined` before there was one. */
  latency: number | undefined
}

/** One resilient line to a server. Everything may be called in any state, also from within its events. */
export class GuruConnection<T extends MessageTypes = MessageTypes> extends Emitter<
  ConnectionEvents<T['in']> & MessagesByType<T['in']>,
  OtherEvents<T['in']>
> {
  /** Where the next attempt goes. */
  declare url: Provider<string | URL>
  declare enableLogging: boolean
  declare reconnectDelay: number
  /** Counts from the moment it is changed. */
  declare pingInterval: number
  declare healthInterval: number
  readonly #options: ResolvedConnectionOptions
  readonly #messenger: Messenger
  #ids = 0
  #idPrefix: string | undefined

  /**
   * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`) for a wrong option
   */
  constructor(options: ConnectionOptions) {
    super()
    this.#options = resolveConnectionOptions(options)
    this.#messenger = new Messenger(this as unknown as Listeners, this.#options, platform)
    // A microtask later, so that listeners attached in this turn miss nothing.
    if (this.#options.autoConnect) {
      queueMicrotask(() => {
        if (this.connectionState === 'idle') this.connect()
      })
    }
  }

  get connectionState(): ConnectionState {
    return this.#messenger.line.state
  }

  get connected(): boolean {
    return this.connectionState === 'open'
  }

  /** Whether what is under way survives the end of the line: so it is in a session, and not on a plain line. */
  get lossless(): boolean {
    return this.#messenger.layer.lossless
  }

  get status(): Status {
    return this.#messenger.status
  }

  static {
    // Named imports that were compiled to CommonJS look for their names on what `require()` gives: the class.
    Object.defineProperty(GuruConnection, 'GuruConnection', { value: GuruConnection })
    for (const name of CHANGEABLE) {
      Object.defineProperty(GuruConnection.prototype, name, {
        configurable: true,
        get(this: GuruConnection) {
          return this.#options[name]
        },
        set(this: GuruConnection, value: never) {
          checkConnectionOption(name, value)
          this.#options[name] = value
          if (name === 'pingInterval') this.#messenger.line.restartHeartbeat()
        },
      })
    }
  }

  /**
   * Connects now: out of a wait too, and again after `close()` or after giving up. Does nothing while there is a
   * line or an attempt. Such an attempt does not count towards `maxReconnectAttempts`.
   * @throws CommsError `DISPOSED` after `dispose()`
   */
  connect(): void {
    if (this.connectionState === 'disposed') throw disposed('connect')
    this.#messenger.connect()
  }

  /**
   * Sends a message: strings as they are, bytes as a binary frame, anything else as JSON. While there is no line it
   * waits in the queue.
   * @throws CommsError `BAD_REQUEST` for what cannot be sent, `QUEUE_FULL` (with `overflow: 'reject'`),
   *   `CONNECTION` after `close()`, `DISPOSED` after `dispose()`, `UNSUPPORTED` for options that take a session
   */
  send(data: T['out'], options?: SendOptions): Receipt {
    if (options) checkOptions(`${OWNER}.send`, options, sendRules)
    return this.#messenger.send(data, options)
  }

  /**
   * Resolves when what earlier processes have left in `storage` has been read; at once without a session. Rejects when the connection
   * is disposed of first.
   */
  get loaded(): Promise<void> {
    return this.#messenger.load()
  }

  /**
   * Resolves when the server's window has room for more: who waits for it before each `send` fills no queue. Rejects with CommsError
   * `CONNECTION` when the connection is closed or given up first, `DISPOSED` when it is disposed of.
   */
  ready(): Promise<void> {
    return this.#messenger.ready()
  }

  /**
   * Resolves when every message that was accepted so far, and those of earlier processes, has its fate: delivered, dropped or in doubt;
   * on a plain line, sent. Rejects as `ready()` does: then the rest waits for who goes on.
   */
  settled(): Promise<void> {
    return this.#messenger.allSettled()
  }

  /**
   * The user has interrupted: volatile messages of this stream that are on their way are dropped, here and at the other side.
   * @param stream 0 to 255
   * @returns whether there is a session to do so
   */
  interrupt(stream = 0): boolean {
    checkOption(`${OWNER}.interrupt`, 'stream', stream, streamRule)
    return this.#messenger.session?.interrupt(stream) ?? false
  }

  /**
   * Sends an object with an `id` (its own, or one made for it) and waits for the first message that carries it as
   * `request_id` or `id`. While it waits in the queue, its timeout takes it out again.
   * @throws TimeoutError, AbortError, or CommsError: those of `send`, `DROPPED` when it had to leave the queue,
   *   `CONNECTION` when the line broke or was closed before the reply
   */
  async request(data: Question<T['out']>, options: RequestOptions = {}): Promise<T['in']> {
    const { timeout, signal } = resolveRequestOptions(data, options)
    const { id = this.#makeId() } = data as { id?: RequestId }
    return this.#messenger.request({ ...data, id }, id, timeout, signal)
  }

  /** Asks the server to stop what it does for a request: sends `{type: 'stop', id}`. */
  stopRequest(id: RequestId): Receipt {
    return this.#messenger.send({ type: 'stop', id })
  }

  /**
   * Sends live audio, now or never: it is not queued, and what would lie in the socket for more than about 100 ms
   * waits a moment, the oldest dropped first (`getStats().droppedAudio`).
   * @returns whether the chunk was taken: false while the line is not open
   * @throws CommsError `BAD_REQUEST` for what is no ArrayBuffer and no view of one
   */
  streamAudio(data: ArrayBuffer | ArrayBufferView): boolean {
    return this.#messenger.streamAudio(data)
  }

  /**
   * Sets the one handler of messages. In session mode its settling acknowledges the message; a rejection counts as
   * handled and is reported as `error`. Listeners of `message` only observe.
   * @returns a function that removes it
   * @throws CommsError `UNSUPPORTED` when there is one already
   */
  handle(handler: (message: T['in'], context: MessageContext) => unknown): () => void {
    checkOption(`${OWNER}.handle`, 'handler', handler, callable)
    const messenger = this.#messenger
    if (messenger.handler) {
      throw new CommsError('handle: there is a handler already; what handle() returned removes it', {
        code: 'UNSUPPORTED',
      })
    }
    const given = handler as Handler
    messenger.handler = given
    return () => {
      if (messenger.handler === given) messenger.handler = undefined
    }
  }

  /**
   * The messages from now on, over any number of reconnections. A reader that falls more than `maxQueueMessages` or
   * `maxQueueBytes` behind gets a `QUEUE_FULL` error (a plain line cannot be slowed down); the stream ends with
   * `close()` and `dispose()`, and with an error when the line is given up.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<T['in'], undefined> {
    return this.#messenger.stream()
  }

  getStats(): ConnectionStats {
    const { line, layer, session, status, tally, droppedAudio } = this.#messenger
    return {
      connected: this.connected,
      connectionState: line.state,
      status,
      reconnectAttempts: line.attempts,
      queuedMessages: layer.queuedMessages,
      queuedBytes: layer.queuedBytes,
      loading: !this.#messenger.isLoaded,
      unacknowledgedMessages: session?.unacknowledgedMessages ?? 0,
      sentMessages: tally.sent,
      receivedMessages: tally.received,
      droppedMessages: tally.dropped,
      droppedAudio,
      bufferedAmount: line.buffered,
      latency: line.latency,
    }
  }

  /**
   * Ends the line with a closing handshake (5 s at most) and stays down until `connect()`. What still waits in the
   * queue is reported as `dropped`.
   * @throws RangeError or TypeError for a code or reason that no close frame can carry
   */
  close(code = 1000, reason = ''): void {
    checkOption(`${OWNER}.close`, 'code', code, closeCodeRule)
    checkOption(`${OWNER}.close`, 'reason', reason, closeReasonRule)
    this.#messenger.close(code, reason)
  }

  /** Ends everything at once and for good: no socket, timer or listener is left. A second call does nothing. */
  dispose(): void {
    this.#messenger.line.step({ type: 'dispose' })
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** For troubleshooting: asks the health address now; while waiting or given up, a healthy answer reconnects. */
  _startHealthCheck(): void {
    this.#messenger.line.step({ type: 'pollNow' })
  }

  /** A listener threw: whoever listens to `error` hears of it, else the console. */
  protected override onListenerError(error: unknown, name: string): void {
    if (name === 'error' || this.listenerCount('error') === 0) super.onListenerError(error, name)
    else this.#messenger.appFailed(error)
  }

  #makeId(): string {
    this.#idPrefix ??= this.#options.random().toString(36).slice(2, 10)
    this.#ids += 1
    return `${this.#idPrefix}-${this.#ids}`
  }
}

// require('guru-comms/GuruConnection') gives the class itself (Node's name for the export that require returns).
export { GuruConnection as 'module.exports' }
