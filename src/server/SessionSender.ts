// Sends to sessions from a process that need not own them, nor be a server at all: messages are left in the store that the
// servers share, and the owner of each session takes them from there.

import type { Clock } from '../core/clock.ts'
import { CommsError } from '../core/errors.ts'
import { checkOption, checkOptions, clockRule, interval, type Rules, withDefaults } from '../core/options.ts'
import { systemClock } from '../core/systemClock.ts'
import { NEVER } from '../session/entry.ts'
import { type Payload, payloadBytes, TEXT } from '../session/frames.ts'
import {
  LOST_VOLATILE,
  MessageReceipt,
  type ReceiptOwner,
  Receipts,
  SENT_VOLATILE,
  SettledReceipt,
} from '../session/receipts.ts'
import type { PostFate, SharedSessions } from '../session/sharedSessions.ts'
import { isSid } from '../session/sid.ts'
import type { SessionStore } from '../session/store.ts'
import { encodeMessage } from './payload.ts'
import type { SessionReceipt } from './Session.ts'
import { checkSendOptions, type SessionSendOptions } from './sessionServerOptions.ts'

export interface SessionSenderOptions {
  /** A store that several processes share, such as `redisSessionStore`. */
  store: SessionStore
  /** How long the client's acknowledgement is waited for, in milliseconds; then `delivered` rejects: nobody knows. @default 60000 */
  receiptTimeout?: number | undefined
  clock?: Clock | undefined
}

const storeRule = {
  expected: 'a session store that several processes can share, such as redisSessionStore',
  accepts: (value: unknown) => (value as SessionStore | null | undefined)?.shared !== undefined,
}
const rules: Rules<SessionSenderOptions> = {
  store: storeRule,
  receiptTimeout: interval,
  clock: clockRule,
}

interface Pending {
  readonly givenUpAt: number
  /** It lies in the store. */
  posted: boolean
  /** Word of its fate may have been missed. */
  doubtful: boolean
}

/** Messages that are on their way into the store at the same time, when all sessions get one. */
const AT_ONCE = 64
const SWEEP_MS = 1000

export class SessionSender implements ReceiptOwner {
  readonly #shared: SharedSessions
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #receipts = new Receipts()
  /** By number, the oldest first; its text is the token that the store knows it by. */
  readonly #pending = new Map<number, Pending>()
  readonly #deaf: () => void
  #count = 0
  #timer: unknown
  #closed = false

  /** @throws TypeError or RangeError naming the option */
  constructor(options: SessionSenderOptions) {
    checkOptions('SessionSender', options, rules)
    checkOption('SessionSender', 'store', options.store, storeRule)
    const { store, clock, receiptTimeout } = withDefaults(
      { store: options.store, clock: systemClock, receiptTimeout: 60_000 },
      options,
    )
    this.#shared = store.shared as SharedSessions
    this.#clock = clock
    this.#timeoutMs = receiptTimeout
    this.#deaf = this.#shared.hearFates({
      fate: (token, fate) => this.#fate(Number(token), fate),
      missed: () => this.#missed(),
    })
  }

  /**
   * Sends a message to a session, wherever it is and whether its client is connected or not. The receipt's `stored` resolves when it
   * lies in the store, from where it is not lost; `delivered` when the client's handler has settled. Messages of one sender to one
   * session arrive in order. It cannot be cancelled.
   * @throws CommsError `BAD_REQUEST` for what cannot be sent; TypeError or RangeError for wrong options. All else rejects the receipt:
   * `SESSION_LOST` (there is no such session), `QUEUE_FULL`, `DROPPED`, `STORAGE` (it has not been left in the store, and will not be),
   * `UNKNOWN` (nobody knows whether it arrives: in doubt)
   */
  send(sid: string, data: unknown, options: SessionSendOptions = {}): SessionReceipt {
    checkSendOptions(options)
    return this.#send(sid, encodeMessage(data), options)
  }

  /**
   * Sends to every session there is, of all processes.
   * @returns how many took it; a volatile message goes out once, and nobody counts: 0
   * @throws or rejects as `send` does; with `STORAGE` or `UNKNOWN` when the store fails in between: then some have it
   */
  async broadcast(data: unknown, options: SessionSendOptions = {}): Promise<number> {
    checkSendOptions(options)
    const payload = encodeMessage(data)
    if (options.volatile) {
      await this.#shared.whisper(undefined, streamOf(payload, options), payload)
      return 0
    }
    let taken = 0
    let sending: Promise<void>[] = []
    for await (const sid of this.#shared.sids()) {
      const sent = this.#send(sid, payload, options).stored.then(
        () => {
          taken += 1
        },
        (error) => {
          const { code } = error as CommsError
          if (code === 'STORAGE' || code === 'UNKNOWN') throw error
        },
      )
      sent.catch(() => {})
      sending.push(sent)
      if (sending.length < AT_ONCE) continue
      await Promise.all(sending)
      sending = []
    }
    await Promise.all(sending)
    return taken
  }

  /** Stops listening: what is not known to be delivered is not known. The store stays open. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#deaf()
    this.#clock.clearTimeout(this.#timer)
    this.#missed()
  }

  #send(sid: string, payload: Payload, options: SessionSendOptions): SessionReceipt {
    const { volatile, priority = 0, ttl = Infinity } = options
    const stream = streamOf(payload, options)
    if (payload === '')
      throw new CommsError('send: a text without a character cannot be sent', { code: 'BAD_REQUEST' })
    if (!isSid(sid)) {
      const error = new CommsError('send: there is no session of this name', { code: 'SESSION_LOST' })
      return volatile ? LOST_VOLATILE : new SettledReceipt('refused', error, error)
    }
    if (volatile) {
      this.#shared.whisper(sid, stream, payload).catch(() => {})
      return SENT_VOLATILE
    }
    this.#count += 1
    const seq = this.#count
    const givenUpAt = this.#clock.now() + this.#timeoutMs
    this.#pending.set(seq, { givenUpAt, posted: false, doubtful: false })
    this.#plan()
    const expiresAt = ttl === Infinity ? NEVER : this.#clock.wallNow() + ttl
    this.#shared.post(sid, { stream, payload, priority, expiresAt, token: `${seq}` }).then(
      (result) => {
        if (result === 'posted') this.#posted(seq)
        else this.#fail(seq, refusals[result](payloadBytes(payload)))
      },
      (error) => this.#fail(seq, error as CommsError),
    )
    return new MessageReceipt(this, seq)
  }

  // What receipts ask.

  idOf(seq: number): string {
    return `p${seq}`
  }

  stored(seq: number): Promise<void> {
    return this.#receipts.stored(seq, () => this.#pending.get(seq)?.posted === false)
  }

  delivered(seq: number): Promise<void> {
    return this.#receipts.delivered(seq, () => this.#pending.has(seq))
  }

  /** What is on its way to another process cannot be taken back. */
  cancel(): boolean {
    return false
  }

  #posted(seq: number): void {
    this.#receipts.accept(seq)
    const pending = this.#pending.get(seq)
    if (!pending) return
    pending.posted = true
    if (pending.doubtful) this.#fate(seq, 'unknown')
  }

  /** Of what lies in the store nobody knows any more whether it arrives; what is on its way there may still say that it does not. */
  #missed(): void {
    for (const [seq, pending] of [...this.#pending]) {
      if (pending.posted) this.#fate(seq, 'unknown')
      else pending.doubtful = true
    }
  }

  #fate(seq: number, fate: PostFate): void {
    if (!this.#pending.has(seq)) return
    if (fate !== 'delivered') this.#fail(seq, fates[fate]())
    else {
      this.#pending.delete(seq)
      this.#receipts.arrive(seq)
    }
  }

  #fail(seq: number, { code, message }: CommsError): void {
    const pending = this.#pending.get(seq)
    if (!pending) return
    this.#pending.delete(seq)
    this.#receipts.fail(seq, code, message, !pending.posted)
  }

  /** All wait equally long, so the oldest are given up first. */
  #plan(): void {
    if (this.#timer !== undefined || this.#pending.size === 0) return
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#timer = undefined
        for (const [token, { givenUpAt }] of this.#pending) {
          if (givenUpAt > this.#clock.now()) break
          this.#fate(token, 'unknown')
        }
        this.#plan()
      },
      Math.min(SWEEP_MS, this.#timeoutMs),
      true,
    )
  }
}

const streamOf = (payload: Payload, { stream = 0 }: SessionSendOptions) =>
  typeof payload === 'string' ? TEXT : stream

const refusals = {
  noSession: () => new CommsError('there is no such session', { code: 'SESSION_LOST' }),
  full: (bytes: number) =>
    new CommsError(
      `the session has no room for ${bytes} bytes more: its owner does not take what was posted`,
      {
        code: 'QUEUE_FULL',
      },
    ),
}

const fates = {
  dropped: () => new CommsError('the message was dropped by the owner of the session', { code: 'DROPPED' }),
  unknown: () => new CommsError('nobody knows whether the message was delivered', { code: 'UNKNOWN' }),
}
