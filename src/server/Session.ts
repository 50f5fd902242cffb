// A session of one client, as the server's app sees it: it outlives the connections that carry it.

import { Emitter } from '../core/emitter.ts'
import { optionError } from '../core/options.ts'
import type { Payload } from '../session/frames.ts'
import type { Receipt } from '../session/receipts.ts'
import { checkSendOptions, type SessionSendOptions } from './sessionServerOptions.ts'

/** The fate of one message. */
export type SessionReceipt = Receipt

/** What a handler learns about a message. */
export interface SessionMessageContext {
  /** `sid/number`: the same over redelivery. */
  readonly id: string
  /** A handler may have begun with it in a process that died. */
  readonly redelivered: boolean
  /** 0 to 255 for a binary message; `undefined` for text. */
  readonly stream: number | undefined
  /**
   * Runs `run` in one transaction of the store with the fact that the message is handled: then it is handled exactly
   * once, whatever dies. Once per message. `run` gets what the store works on (a `DatabaseSync` for SQLite, `undefined`
   * without a store), has to do its work before it returns, and is undone when it throws.
   * @returns what `run` returned; rejects with what it threw, or with CommsError `UNSUPPORTED` (the store cannot),
   * `STORAGE` (it failed, or the message was recorded before) or `SESSION_LOST`
   */
  readonly record: <T, Database = unknown>(run: (database: Database) => T) => Promise<T>
}

/** What a server receives (`in`) and sends (`out`). What comes from a client is what it says: types check nothing. */
export interface SessionMessageTypes {
  in: unknown
  out: unknown
}

/** Handles the messages of a session. Its settling acknowledges them; a rejection is reported and counts as settled. */
export type SessionHandler<In = unknown> = (data: In, context: SessionMessageContext) => unknown

/** A message that will not arrive, or that nobody knows to have arrived. */
export interface SessionMessage {
  /** The id of its receipt. */
  readonly id: string
  /** As it would have travelled: text, or bytes. */
  readonly data: Payload
}

export interface DroppedSessionMessage extends SessionMessage {
  /** `refused`: the client ended the connection over its size; whether it was handled is unknown. */
  readonly reason: 'overflow' | 'expired' | 'tooLarge' | 'closed' | 'refused'
}

/** Why a session is over although neither side closed it. */
export type SessionLossReason =
  /** Its client stayed away longer than its `ttl`. */
  | 'expired'
  /** One side lost memory: what the client said cannot be placed. */
  | 'memory'
  /** It had to make room for another, unheard as it was. */
  | 'evicted'
  /** The store failed. */
  | 'storage'
  /** Another process owns it by now. Nothing of it is lost but what was not recorded yet: that is in doubt. */
  | 'takenOver'
  /** The shared store could not be reached for too long: the session lives on in it. What was not recorded yet is in doubt. */
  | 'leaseLost'
  /** The server closed, and has no store. */
  | 'shutdown'
  /** A listener of `onSession` threw. */
  | 'failed'

export interface SessionEvents<In = unknown> {
  /** A message came in; `handle` is what acknowledges, listeners only observe. */
  message: [data: In, context: SessionMessageContext]
  /** A volatile message came in; `stream` is `undefined` for text. */
  volatile: [data: In, stream: number | undefined]
  /** The client was interrupted: drop what is buffered of this stream. */
  flush: [stream: number]
  /** The client has handled a message. */
  delivered: [message: { readonly id: string }]
  /** A message that had not left yet will not arrive. */
  dropped: [message: DroppedSessionMessage]
  /** The session was opened, or goes on over another connection. */
  connected: [{ readonly resumed: boolean }]
  /** Its connection has ended; it waits for the next. */
  disconnected: []
  /** One side has closed it. `inDoubt` had left and were not acknowledged, the oldest first. */
  closed: [end: { readonly by: 'client' | 'server'; readonly inDoubt: readonly SessionMessage[] }]
  /** It is over although nobody closed it. `inDoubt` had left and were not acknowledged, the oldest first. */
  lost: [end: { readonly reason: SessionLossReason; readonly inDoubt: readonly SessionMessage[] }]
  /** Something failed: a handler, a message, the store. Without a listener it goes to the server's `error`. */
  error: [error: unknown]
}

/** What carries a session out. */
export interface SessionActions {
  readonly sid: string
  readonly principal: string
  readonly connected: boolean
  readonly over: boolean
  readonly queuedMessages: number
  readonly queuedBytes: number
  handler: SessionHandler | undefined
  sendMessage(data: unknown, options: SessionSendOptions): SessionReceipt
  interrupt(stream: number): boolean
  whenReady(): Promise<void>
  report(error: unknown): void
  close(): void
}

export class Session<T extends SessionMessageTypes = SessionMessageTypes> extends Emitter<
  SessionEvents<T['in']>
> {
  readonly #actions: SessionActions

  /** Made by `SessionServer`. */
  constructor(actions: SessionActions) {
    super()
    this.#actions = actions
  }

  /** Names it; the same over reconnections and restarts. No secret. */
  get id(): string {
    return this.#actions.sid
  }

  /** Who opened it, as `authenticate` said. */
  get principal(): string {
    return this.#actions.principal
  }

  /** Whether a connection carries it now. */
  get connected(): boolean {
    return this.#actions.connected
  }

  /** Whether it is over: nothing can be sent any more. */
  get over(): boolean {
    return this.#actions.over
  }

  /** Messages that the client has not acknowledged, those behind the window included. */
  get queuedMessages(): number {
    return this.#actions.queuedMessages
  }

  /** Their payload bytes. */
  get queuedBytes(): number {
    return this.#actions.queuedBytes
  }

  /**
   * Sends a message: now, or as soon as there is a connection and room in the window. It is kept until the client
   * acknowledges it. Strings go as they are, bytes as bytes, other values as JSON.
   * @throws CommsError `BAD_REQUEST` (empty text, larger than `maxFrame`, not JSON), `QUEUE_FULL` with `overflow:
   * 'reject'`; TypeError or RangeError for wrong options. A session that is over throws nothing: the receipt rejects.
   */
  send(data: T['out'], options: SessionSendOptions = {}): SessionReceipt {
    checkSendOptions(options)
    return this.#actions.sendMessage(data, options)
  }

  /** Sets the one handler of its messages, or none: then taking a message is handling it. */
  handle(handler: SessionHandler<T['in']> | undefined): this {
    if (handler !== undefined && typeof handler !== 'function') {
      throw optionError('Session.handle', 'handler', 'must be a function', handler)
    }
    this.#actions.handler = handler as SessionHandler | undefined
    return this
  }

  /** Asks the client to stop volatile messages of a stream; those on their way are ignored. False without a connection. */
  interrupt(stream: number): boolean {
    checkSendOptions({ stream })
    return this.#actions.interrupt(stream)
  }

  /**
   * Resolves when nothing waits behind the window: at once while there is room, else when the client has caught up.
   * Rejects with CommsError `SESSION_LOST` when the session ends first.
   */
  ready(): Promise<void> {
    return this.#actions.whenReady()
  }

  /** Ends it. Its client is told, and opens another if it likes; what it has not acknowledged is in doubt. */
  close(): void {
    this.#actions.close()
  }

  protected override onListenerError(error: unknown, name: string): void {
    if (name === 'error') super.onListenerError(error, name)
    else this.#actions.report(error)
  }
}
