// Messages over a session of guru.v1: accepted, numbered, acknowledged, resumed. It carries out what
// `session/clientSession.ts` decides on the line of its connection, and has it recorded when there is a storage.
// Loaded only by connections whose option `session` is not 'off'.

import type { Clock } from '../core/clock.ts'
import { CommsError, TimeoutError } from '../core/errors.ts'
import {
  type ClientHost,
  type ClientOptions,
  ClientSession,
  type LossReason,
  NOT_LEAVING,
  newClient,
} from '../session/clientSession.ts'
import { CLOSE } from '../session/closeCodes.ts'
import type { CloseDecision } from '../session/closeDecision.ts'
import { encodeAck, encodeControl } from '../session/control.ts'
import { type Entry, NEVER } from '../session/entry.ts'
import { reliableNumber, type Payload as SessionPayload, TEXT, textPayload } from '../session/frames.ts'
import type { OutboxStore } from '../session/store.ts'
import { byteLength, type Frame, type Payload, type Utf8Length } from './encoding.ts'
import type { ConnectionEvents } from './events.ts'
import { Fates } from './fates.ts'
import type { LayerHost, MessageContext, SendOptions, SessionMessageLayer } from './messageLayer.ts'
import type { PlainLayer } from './plainLayer.ts'
import type { ProtocolMemory } from './protocolMemory.ts'
import { messageId, rejected } from './receipt.ts'
import { SessionOutbox } from './sessionOutbox.ts'
import { LOST, refusal, STOPPED } from './sessionTexts.ts'
import { type FailedUpgrade, SubprotocolOffer } from './subprotocolOffer.ts'

/** What a session's layer needs of its connection, beside what every layer does. */
export interface SessionLayerHost extends LayerHost {
  readonly line: {
    step(event: { readonly type: 'opened' }): void
    answered(at: number): void
    hangUp(code: number, reason: string, decision: CloseDecision, error?: Error): void
    arm(): void
  }
  /** Puts the text frame of a numbered message on the wire; the same as `write` of the two with a colon between. */
  writeNumbered(number: number, text: string): boolean
  /** Counts the bytes of a text, where the platform can do so without encoding it. */
  readonly utf8Length: Utf8Length | undefined
  /** A message came in. Returns what the handler did; a promise never rejects. */
  receive(data: Frame, number?: number, redelivered?: boolean): unknown
  /** Whether anybody listens. */
  hears(name: keyof ConnectionEvents): boolean
  tellLater<K extends keyof ConnectionEvents>(name: K, ...args: ConnectionEvents[K]): void
  /** It will never be known whether a message was handled. */
  inDoubt(seq: number, error: Error): void
  settled(): void
}

export interface SessionLayerOptions {
  readonly session: 'off' | 'auto' | 'required'
  readonly maxQueueMessages: number
  readonly maxQueueBytes: number
  readonly maxQueueAge: number
  readonly overflow: ClientOptions['overflow']
  readonly onSessionLost: ClientOptions['onSessionLost']
  readonly sessionTtl: number
  readonly handlerTimeout: number
  readonly storage: OutboxStore | undefined
  readonly protocolMemory: ProtocolMemory
  pingInterval: number
  readonly clock: Clock
}

const AT_ONCE: CloseDecision = { action: 'now', notBefore: 0 }

export class SessionLayer implements SessionMessageLayer {
  readonly #host: SessionLayerHost
  readonly #options: SessionLayerOptions
  readonly #machine: { -readonly [K in keyof ClientOptions]: ClientOptions[K] }
  readonly #session: ClientSession
  readonly #stored = new Fates()
  readonly #delivered = new Fates()
  #outbox: SessionOutbox | undefined
  /** What the current line speaks; `undefined` while there is none. */
  #speaks: 'session' | 'plain' | undefined
  /** What the latest line spoke. */
  #spoke: 'session' | 'plain' = 'session'
  readonly #offer: SubprotocolOffer
  /** The machine's numbers are higher than ours by as much as older processes had used up. */
  #offset = 0
  #recorded = 0
  /** To be acknowledged at the end of this turn; 0 for nothing. */
  #rx = 0
  /** When the turn that is under way began to bring frames. */
  #at = NEVER
  /** When an acknowledgement was due after the latest frame. */
  #tellAt = NEVER
  #waiters: (() => void)[] = []

  constructor(host: SessionLayerHost, options: SessionLayerOptions) {
    this.#host = host
    this.#options = options
    this.#offer = new SubprotocolOffer(options.session === 'required', options.protocolMemory)
    const { maxQueueMessages, maxQueueBytes, overflow, onSessionLost, sessionTtl, handlerTimeout } = options
    this.#machine = {
      durable: false,
      handlerTimeout,
      // The line sees to the heartbeat, with protocol pings where there are any.
      pingInterval: 0,
      pongTimeout: Infinity,
      maxQueueMessages,
      maxQueueBytes,
      overflow,
      onSessionLost,
      ttl: sessionTtl,
    }
    this.#session = new ClientSession(newClient(), this.#machine, this.#carryOut())
  }

  /** Reads the storage, when there is one. A storage that cannot be used is reported; the session then lives in memory. */
  async load(): Promise<void> {
    const { storage, clock } = this.#options
    if (!storage) return
    const outbox = new SessionOutbox(storage, clock, {
      onStored: (write) => {
        this.#session.stored(write, this.#now)
        this.#afterwards()
      },
      onFailed: (error) => this.#storageFailed(error),
    })
    try {
      this.#session.restore(await outbox.load())
    } catch (error) {
      this.#host.error(error as CommsError)
      return
    }
    this.#offset = this.#session.peer.state.seq
    this.#recorded = this.#offset
    if (this.#session.hasSession) this.#offer.commit()
    this.#machine.durable = true
    this.#outbox = outbox
  }

  /** Takes over what waits in a plain layer: it keeps its numbers. */
  adopt(plain: PlainLayer, early: ReadonlyMap<number, SendOptions>): void {
    const { state } = this.#session.peer
    const now = this.#now
    let expected = 1
    const gone = (until: number) => {
      for (; expected < until; expected += 1) {
        const message = `message ${messageId(expected)} was dropped or cancelled before there was a session`
        this.#stored.fail(this.#offset + expected, 'DROPPED', message)
        this.#delivered.fail(this.#offset + expected, 'DROPPED', message)
      }
      expected += 1
    }
    const last = plain.handOver((seq, payload) => {
      gone(seq)
      state.seq = this.#offset + seq - 1
      try {
        this.send(payload, now, early.get(seq))
      } catch (error) {
        this.#host.error(error as Error)
      }
    })
    gone(last + 1)
    state.seq = this.#offset + last
  }

  get queuedMessages(): number {
    return this.#session.peer.waiting
  }

  get queuedBytes(): number {
    return this.#session.state.peer.waiting.bytes
  }

  get unacknowledgedMessages(): number {
    return this.#session.peer.unacknowledged
  }

  get wakeAt(): number {
    return this.#session.wakeAt
  }

  get lossless(): boolean {
    return this.#spoke !== 'plain'
  }

  send(payload: Payload, now: number, options: SendOptions | undefined): number {
    const { peer } = this.#session
    const kept = typeof payload === 'string' ? payload : bytesOf(payload).slice()
    const stream = typeof payload === 'string' ? TEXT : (options?.stream ?? 0)
    if (this.#speaks === 'plain' && peer.waiting === 0 && this.#host.write(payload)) {
      peer.state.seq += 1
    } else {
      const accepted = peer.send(
        stream,
        kept,
        byteLength(payload, this.#host.utf8Length),
        now,
        this.#wishes(options, now),
      )
      if (accepted !== 'taken' && accepted !== 'dropped') {
        const { maxFrame } = peer.state.limits
        throw refusal(accepted, { queued: this.queuedMessages, bytes: this.queuedBytes, maxFrame })
      }
      if (peer.waiting > 0) this.#host.line.arm()
    }
    return peer.state.seq - this.#offset
  }

  sendVolatile(payload: Payload, stream: number): boolean {
    if (this.#speaks === 'plain') return this.#host.write(payload)
    return typeof payload === 'string'
      ? this.#session.peer.sendVolatile(TEXT, payload)
      : this.#session.peer.sendVolatile(stream, bytesOf(payload))
  }

  stored(seq: number): Promise<void> {
    const own = seq + this.#offset
    return this.#stored.ask(own, () => this.#machine.durable && own > this.#recorded)
  }

  delivered(seq: number): Promise<void> {
    const own = seq + this.#offset
    const { peer } = this.#session
    if (this.#speaks === 'plain' && !peer.keeps(own))
      return rejected('UNSUPPORTED', 'delivered: this server speaks no guru.v1, a plain line cannot know')
    return this.#delivered.ask(own, () => peer.keeps(own))
  }

  queued(seq: number): boolean {
    return this.#session.peer.isWaiting(seq + this.#offset)
  }

  withdraw(seq: number): boolean {
    const own = seq + this.#offset
    if (!this.#session.peer.cancel(own)) return false
    this.#delivered.fail(own, 'CANCELLED', `message ${messageId(seq)} was cancelled`)
    return true
  }

  ready(): Promise<void> {
    if (this.#session.peer.waiting === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  interrupt(stream: number): boolean {
    return this.#session.peer.interrupt(stream)
  }

  offer(url: string): string | undefined {
    return this.#offer.at(url)
  }

  greet(protocol: string, auth: string | undefined): boolean {
    const speaks = this.#offer.answered(protocol)
    if (speaks === undefined) {
      const message = 'the server does not speak guru.v1: use session "auto" or "off" with it'
      const error = new CommsError(message, { code: 'PROTOCOL' })
      this.#host.line.hangUp(CLOSE.normal, 'no session', { action: 'stop', reason: 'closed' }, error)
      return false
    }
    if (speaks === 'again') {
      this.#host.line.hangUp(CLOSE.normal, 'offers guru.v1', AT_ONCE)
      return false
    }
    this.#speaks = speaks
    this.#spoke = speaks
    if (speaks === 'session') this.#session.connected(auth ?? '', this.#now)
    return speaks === 'plain'
  }

  opened(): void {
    if (this.#speaks !== 'plain') return
    this.#session.peer.sendPlain(({ payload }) => this.#host.write(payload))
    this.#release()
  }

  stable(): void {
    this.#session.stable()
  }

  frame(data: Frame): boolean {
    if (this.#speaks !== 'session') return false
    const number = typeof data === 'string' ? reliableNumber(data) : 0
    if (number > 0) return this.numbered(number, textPayload(data as string, number))
    this.#session.frame(data instanceof ArrayBuffer ? new Uint8Array(data) : data, this.#turn())
    this.#received()
    return true
  }

  numbered(number: number, text: string): boolean {
    if (this.#speaks !== 'session') return false
    this.#session.text(number, text, this.#turn())
    this.#received()
    return true
  }

  /** Frames come many in one turn, for all of which it is the same time: reading a clock costs more than taking a message. */
  #turn(): number {
    if (this.#at === NEVER) {
      this.#at = this.#now
      queueMicrotask(() => {
        this.#at = NEVER
      })
    }
    return this.#at
  }

  #received(): void {
    const { leaveAt, peer } = this.#session.state
    const { inbox, waiting } = peer
    // Only what can have moved the next wake-up is worth looking at: most messages do not.
    const moved = inbox.tellAt !== this.#tellAt || inbox.settled !== inbox.taken
    if (moved || waiting.entries.length > 0 || leaveAt !== NOT_LEAVING) {
      this.#tellAt = inbox.tellAt
      this.#host.line.arm()
    }
    this.#host.settled()
  }

  get ping(): string | undefined {
    return this.#speaks === 'session' ? encodeControl({ t: 'ping', at: this.#now }) : undefined
  }

  goodbye(disposed: boolean): boolean {
    // What is stored is taken up again by the next process.
    if (this.#speaks !== 'session' || (disposed && this.#machine.durable)) return false
    return this.#session.close() && !disposed
  }

  ended(code: number): void {
    if (this.#speaks === 'session') this.#session.closed(code, this.#now)
    this.#speaks = undefined
  }

  wake(now: number): void {
    this.#session.wake(now)
  }

  discard(state: 'closing' | 'closed' | 'disposed'): void {
    if (state === 'closing') return
    // What is recorded is taken up again by the next process; what is not is over.
    if (state === 'closed' || !this.#machine.durable) this.#session.stop()
    if (state === 'closed') return
    this.#outbox?.close()
    this.#release()
    this.#stored.failAll('DISPOSED', 'the connection has been disposed of')
    this.#delivered.failAll('DISPOSED', 'the connection has been disposed of')
  }

  context(number: number, redelivered: boolean): MessageContext {
    const { sid } = this.#session.state.peer
    return {
      id: `${sid}/${number}`,
      redelivered,
      record: (run) => {
        const transact = this.#machine.durable ? this.#options.storage?.transact : undefined
        if (!transact) {
          throw new CommsError(
            'record: the connection has no storage whose transactions a handler can join',
            {
              code: 'UNSUPPORTED',
            },
          )
        }
        return transact.call(
          this.#options.storage,
          sid,
          number,
          run as (database: unknown) => ReturnType<typeof run>,
        ) as ReturnType<typeof run>
      },
    }
  }

  /** In whole milliseconds: fractions would make a heap object of every time that is handed on. */
  get #now(): number {
    return Math.floor(this.#options.clock.now())
  }

  /** How a message is sent, in the machine's terms; nothing for the most. */
  #wishes(
    options: SendOptions | undefined,
    now: number,
  ): { priority?: number; expiresAt?: number } | undefined {
    const { maxQueueAge } = this.#options
    if (!options && maxQueueAge === Infinity) return undefined
    const ttl = Math.min(options?.ttl ?? Infinity, maxQueueAge)
    return { priority: options?.priority ?? 0, ...(ttl < Infinity && { expiresAt: now + ttl }) }
  }

  /** What listeners have to hear, and when the line has to be woken, once a step is done. */
  #afterwards(): void {
    this.#host.line.arm()
    this.#host.settled()
  }

  #id(own: number): string {
    return messageId(own - this.#offset)
  }

  #carryOut(): ClientHost {
    const host = this.#host
    return {
      send: (frame) => void host.write(frame),
      acknowledge: (rx) => this.#acknowledge(rx),
      transmit: (number, text) => void host.writeNumbered(number, text),
      deliver: (sid, number, _stream, payload, redelivered) =>
        this.#deliver(sid, number, payload, redelivered),
      volatile: (_stream, payload) => void host.receive(payload),
      flush: (stream) => host.tellLater('flush', { stream }),
      accepted: (seq) => {
        this.#recorded = Math.max(this.#recorded, seq)
        this.#stored.succeed(seq)
      },
      delivered: (seq) => {
        this.#delivered.succeed(seq)
        if (host.hears('delivered')) host.tellLater('delivered', { id: this.#id(seq) })
      },
      dropped: ({ seq, payload }, reason) => {
        const message = `message ${this.#id(seq)} was dropped: ${reason}`
        this.#stored.fail(seq, 'DROPPED', message)
        this.#delivered.fail(seq, 'DROPPED', message)
        host.dropped(seq - this.#offset, payload, reason)
      },
      emptied: (entry) => this.#emptied(entry),
      handlerTimedOut: (number) => {
        const timeoutMs = this.#machine.handlerTimeout
        const message = `timeout: the handler of message ${number} took longer than ${timeoutMs} ms: it counts as handled`
        host.error(new TimeoutError(message, { phase: 'deadline', timeoutMs }))
      },
      ready: () => {
        this.#release()
        host.tellLater('drain')
      },
      store: (write) => this.#outbox?.push(write),
      pong: (at) => host.line.answered(at),
      opened: () => {
        this.#offer.opened()
        host.line.step({ type: 'opened' })
      },
      hangUp: (code, reason, decision) => {
        const broken = code === CLOSE.protocol
        this.#speaks = undefined
        const error =
          broken && new CommsError(`the server broke the protocol: ${reason}`, { code: 'PROTOCOL' })
        this.#reportStop(decision)
        host.line.hangUp(code, reason, decision, error || undefined)
      },
      lost: (reason, doubtful, resent) => this.#lost(reason, doubtful, resent),
    }
  }

  /** Messages come many at a time, and each ack covers those before it: only the last of a turn is worth a write. */
  #acknowledge(rx: number): void {
    if (this.#rx === 0) {
      queueMicrotask(() => {
        const latest = this.#rx
        this.#rx = 0
        // What was left unsaid on a line that is gone, the next `resume` says.
        if (this.#speaks === 'session') this.#host.write(encodeAck(latest))
      })
    }
    this.#rx = rx
  }

  #deliver(sid: string, number: number, payload: SessionPayload, redelivered: boolean): void {
    const { peer } = this.#session
    const result = this.#host.receive(payload, number, redelivered)
    if (!(result instanceof Promise)) {
      // Still within the step that brought the message.
      peer.settled(sid, number, this.#at)
      return
    }
    result.then(() => {
      peer.settled(sid, number, this.#now)
      this.#afterwards()
    })
  }

  #emptied({ seq, payload, bytes }: Entry): void {
    const message = `the connection was closed over its size: message ${this.#id(seq)} (${bytes} bytes) is set aside`
    this.#delivered.fail(seq, 'SESSION_LOST', message)
    this.#host.dropped(seq - this.#offset, payload, 'refused')
    this.#host.error(new CommsError(message, { code: 'PROTOCOL' }))
  }

  #lost(reason: LossReason, doubtful: readonly Entry[], resent: boolean): void {
    const inDoubt = doubtful.map(({ seq, payload }) => ({ id: this.#id(seq), data: payload }))
    for (const { seq } of resent ? [] : doubtful) {
      const message = `message ${this.#id(seq)} may or may not have been handled: ${LOST[reason]}`
      this.#delivered.fail(seq, 'SESSION_LOST', message)
      this.#host.inDoubt(seq - this.#offset, new CommsError(message, { code: 'SESSION_LOST' }))
    }
    // A session that ends in order and leaves nothing in doubt is no news.
    if (inDoubt.length > 0 || (reason !== 'stopped' && reason !== 'usedUp'))
      this.#host.tellLater('sessionLost', { reason, inDoubt, resent })
  }

  #storageFailed(error: CommsError): void {
    this.#machine.durable = false
    this.#outbox = undefined
    this.#host.error(error)
    this.#stored.failAll('STORAGE', 'the message could not be recorded; it is kept in memory')
    this.#session.storageFailed()
    this.#afterwards()
  }

  lineEnded(code: number, upgrade: FailedUpgrade): CloseDecision | undefined {
    const spoke = this.#speaks
    this.#speaks = undefined
    if (spoke === undefined && this.#offer.failed(upgrade)) return AT_ONCE
    if (spoke !== 'session') return undefined
    const decision = this.#session.closed(code, this.#now)
    this.#reportStop(decision)
    return decision
  }

  /** Says why the client does not come back, unless the app or the server wished it. */
  #reportStop(decision: CloseDecision): void {
    if (decision.action !== 'stop' || decision.reason === 'closed') return
    const [message, init] = STOPPED[decision.reason]
    this.#host.error(new CommsError(message, init))
  }

  #release(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }
}

function bytesOf(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return data instanceof ArrayBuffer
    ? new Uint8Array(data)
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
