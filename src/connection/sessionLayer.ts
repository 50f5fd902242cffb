// Messages over a session of guru.v1, on the line of one connection: the client's side of `session/SessionRuntime.ts`.
// Loaded only by connections whose option `session` is not 'off'.

import type { Clock } from '../core/clock.ts'
import { CommsError } from '../core/errors.ts'
import { type ClientOptions, ClientSession, newClient } from '../session/clientSession.ts'
import { CLOSE } from '../session/closeCodes.ts'
import type { CloseDecision } from '../session/closeDecision.ts'
import { encodeControl } from '../session/control.ts'
import type { DeferredEvents } from '../session/deferredEvents.ts'
import type { ClientEffect, PeerEffect } from '../session/effects.ts'
import { type Frame as SessionFrame, type Payload as SessionPayload, TEXT } from '../session/frames.ts'
import { messageId, rejected } from '../session/receipts.ts'
import {
  type Delivery,
  type RuntimeSide,
  type SessionNews,
  SessionRuntime,
} from '../session/SessionRuntime.ts'
import type { SendOptions as QueueOptions } from '../session/sender.ts'
import type { OutboxRecord, OutboxStore, SessionWrite, Write } from '../session/store.ts'
import { onSteadyClock, onWallClock } from '../session/storeClock.ts'
import { newWriter, type StoreWriter, type Written } from '../session/storeWriter.ts'
import { LOST, STOPPED } from '../session/texts.ts'
import { TurnClock } from '../session/turnClock.ts'
import { byteLength, type Frame, type Payload, type Utf8Length } from './encoding.ts'
import type { ConnectionEvents } from './events.ts'
import type { LayerHost, MessageContext, SendOptions, SessionMessageLayer } from './messageLayer.ts'
import type { PlainLayer } from './plainLayer.ts'
import type { ProtocolMemory } from './protocolMemory.ts'
import { type FailedUpgrade, SubprotocolOffer } from './subprotocolOffer.ts'

/** What a session's layer needs of its connection, beside what every layer does. */
export interface SessionLayerHost extends LayerHost {
  readonly line: {
    readonly buffered: number
    step(event: { readonly type: 'opened' }): void
    answered(at: number): void
    hangUp(code: number, reason: string, decision: CloseDecision, error?: Error): void
    arm(): void
  }
  readonly events: DeferredEvents
  /** Puts the text frame of a numbered message on the wire; the same as `write` of the two with a colon between. */
  writeNumbered(number: number, text: string): boolean
  /** Counts the bytes of a text, where the platform can do so without encoding it. */
  readonly utf8Length: Utf8Length | undefined
  /** A message came in. Returns what the handler did; a promise never rejects. */
  receive(data: Frame, number?: number, redelivered?: boolean): unknown
  /** Whether anybody listens. */
  hears(name: keyof ConnectionEvents): boolean
  /** Calls listeners. */
  emit<K extends keyof ConnectionEvents>(name: K, ...args: ConnectionEvents[K]): void
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
  readonly clock: Clock
}

/** So many bytes that the network has not taken mean that the server does not read. */
const CONGESTED_BYTES = 2 ** 20
const AT_ONCE: CloseDecision = { action: 'now', notBefore: 0 }

export class SessionLayer implements SessionMessageLayer, RuntimeSide<ClientEffect> {
  readonly counts = { acked: 0, dropped: 0 }
  readonly #host: SessionLayerHost
  readonly #options: SessionLayerOptions
  readonly #machine: { -readonly [K in keyof ClientOptions]: ClientOptions[K] }
  readonly #session: ClientSession
  readonly #runtime: SessionRuntime<ClientEffect, ClientSession>
  readonly #clock: TurnClock
  readonly #offer: SubprotocolOffer
  /** What the current line speaks; `undefined` while there is none. */
  #speaks: 'session' | 'plain' | undefined
  /** What the latest line spoke. */
  #spoke: 'session' | 'plain' = 'session'
  /** When the line was last asked to wake us. */
  #armedFor = Infinity
  /** A message is being accepted: its sender tells listeners when it has a receipt. */
  #accepting = false

  constructor(host: SessionLayerHost, options: SessionLayerOptions) {
    this.#host = host
    this.#options = options
    this.#clock = new TurnClock(options.clock)
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
    this.#session = new ClientSession(newClient(), this.#machine)
    this.#runtime = new SessionRuntime<ClientEffect, ClientSession>(this.#session, this, host.events)
  }

  /** Reads the storage, when there is one. A storage that cannot be used is reported; the session then lives in memory. */
  async load(): Promise<void> {
    const { storage, clock } = this.#options
    if (!storage) return
    let record: OutboxRecord
    try {
      record = await storage.load()
    } catch (error) {
      this.#host.error(storageError('cannot be used: this session lives in memory', error))
      return
    }
    this.#session.restore(onSteadyClock(record, clock))
    this.#runtime.offset = this.#session.state.peer.seq
    if (this.#session.hasSession) this.#offer.commit()
    this.#machine.durable = true
    this.#runtime.startRecording(newWriter())
  }

  /** Takes over what waits in a plain layer: it keeps its numbers. */
  adopt(plain: PlainLayer): void {
    const { state } = this.#session.peer
    const { offset, receipts } = this.#runtime
    let expected = 1
    const gone = (until: number) => {
      for (; expected < until; expected += 1) {
        const message = `message ${messageId(expected)} was dropped or cancelled before there was a session`
        receipts.fail(offset + expected, 'DROPPED', message, true)
      }
      expected += 1
    }
    const last = plain.handOver((seq, payload, options) => {
      gone(seq)
      state.seq = offset + seq - 1
      try {
        this.send(payload, this.now(), options)
      } catch (error) {
        this.#host.error(error as Error)
      }
    })
    gone(last + 1)
    state.seq = offset + last
  }

  // What the connection asks for.

  get queuedMessages(): number {
    return this.#session.peer.sender.waiting
  }

  get queuedBytes(): number {
    return this.#session.state.peer.backlog.bytes
  }

  get unacknowledgedMessages(): number {
    return this.#session.peer.sender.unacknowledged
  }

  get wakeAt(): number {
    return this.#runtime.wakeAt
  }

  get lossless(): boolean {
    return this.#spoke !== 'plain'
  }

  send(payload: Payload, now: number, options: SendOptions | undefined): number {
    const { peer } = this.#session
    const runtime = this.#runtime
    if (this.#speaks === 'plain' && peer.sender.waiting === 0 && this.#host.write(payload)) {
      peer.state.seq += 1
      return peer.state.seq - runtime.offset
    }
    const isText = typeof payload === 'string'
    const stream = isText ? TEXT : (options?.stream ?? 0)
    const bytes = byteLength(payload, this.#host.utf8Length)
    this.#accepting = true
    try {
      const kept = isText ? payload : bytesOf(payload)
      return runtime.send(stream, kept, bytes, false, this.#wishes(options, now)) - runtime.offset
    } finally {
      this.#accepting = false
    }
  }

  sendVolatile(payload: Payload, stream: number): boolean {
    if (this.#speaks === 'plain') return this.#host.write(payload)
    return typeof payload === 'string'
      ? this.#runtime.sendVolatile(TEXT, payload)
      : this.#runtime.sendVolatile(stream, bytesOf(payload))
  }

  stored(seq: number): Promise<void> {
    return this.#runtime.stored(seq + this.#runtime.offset)
  }

  delivered(seq: number): Promise<void> {
    const own = seq + this.#runtime.offset
    if (this.#speaks === 'plain' && !this.#runtime.isOpen(own))
      return rejected('UNSUPPORTED', 'delivered: this server speaks no guru.v1, a plain line cannot know')
    return this.#runtime.delivered(own)
  }

  queued(seq: number): boolean {
    return this.#session.peer.sender.isWaiting(seq + this.#runtime.offset)
  }

  withdraw(seq: number): boolean {
    return this.#runtime.cancel(seq + this.#runtime.offset)
  }

  interrupt(stream: number): boolean {
    return this.#runtime.interrupt(stream)
  }

  // What the line brings.

  offer(url: string): string | undefined {
    return this.#offer.at(url)
  }

  onOpen(protocol: string, auth: string | undefined): boolean {
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
    if (speaks === 'plain') return true
    this.#session.connected(auth ?? '', this.now())
    this.#runtime.carryOut()
    return false
  }

  opened(): void {
    if (this.#speaks !== 'plain') return
    this.#session.peer.sender.sendPlain(({ payload }) => this.#host.write(payload))
    this.#runtime.carryOut()
  }

  stable(): void {
    this.#session.stable()
  }

  frame(data: Frame): boolean {
    if (this.#speaks !== 'session') return false
    this.#session.frame(data instanceof ArrayBuffer ? new Uint8Array(data) : data, this.now())
    this.#runtime.carryOut()
    return true
  }

  numbered(number: number, text: string): boolean {
    if (this.#speaks !== 'session') return false
    this.#session.text(number, text, this.now())
    this.#runtime.carryOut()
    return true
  }

  get ping(): string | undefined {
    return this.#speaks === 'session' ? encodeControl({ t: 'ping', at: this.now() }) : undefined
  }

  beginClose(disposed: boolean): boolean {
    // What is stored is taken up again by the next process.
    if (this.#speaks !== 'session' || (disposed && this.#machine.durable)) return false
    const mayAnswer = this.#session.close()
    this.#runtime.carryOut()
    return mayAnswer && !disposed
  }

  lineEnded(code: number, upgrade: FailedUpgrade): CloseDecision | undefined {
    const spoke = this.#speaks
    this.#speaks = undefined
    if (spoke === undefined && this.#offer.failed(upgrade)) return AT_ONCE
    if (spoke !== 'session') return undefined
    const decision = this.#session.closed(code, this.now())
    this.#lineIsGone(decision)
    return decision
  }

  ended(code: number): void {
    if (this.#speaks === 'session') {
      this.#session.closed(code, this.now())
      this.#runtime.disconnected()
      this.#runtime.carryOut()
    }
    this.#speaks = undefined
  }

  wake(now: number): void {
    this.#runtime.wake(now)
  }

  discard(disposed: boolean): void {
    const runtime = this.#runtime
    const { storage } = this.#options
    // What is recorded is taken up again by the next process; what is not is over.
    if (!disposed || !this.#machine.durable) this.#session.end()
    runtime.carryOut()
    if (!disposed) return
    runtime.close(new CommsError('the connection has been disposed of', { code: 'DISPOSED' }))
    void runtime.writer?.finish().then(() => storage?.close())
  }

  context(number: number, redelivered: boolean): MessageContext {
    const { sid } = this.#session.state.peer
    const { storage } = this.#options
    return {
      id: `${sid}/${number}`,
      redelivered,
      record: (run) => {
        const transact = this.#machine.durable ? storage?.transact : undefined
        if (!transact) {
          const message = 'record: the connection has no storage whose transactions a handler can join'
          throw new CommsError(message, { code: 'UNSUPPORTED' })
        }
        type Run = (database: unknown) => ReturnType<typeof run>
        return transact.call(storage, sid, number, run as Run) as ReturnType<typeof run>
      },
    }
  }

  // What the runtime has done.

  now(): number {
    return this.#clock.now()
  }

  get handlerTimeout(): number {
    return this.#machine.handlerTimeout
  }

  endOfTurn(run: () => void): void {
    queueMicrotask(run)
  }

  write(frame: SessionFrame): void {
    this.#host.write(frame)
  }

  writeNumbered(number: number, text: string): void {
    this.#host.writeNumbered(number, text)
  }

  get isCongested(): boolean {
    return this.#host.line.buffered > CONGESTED_BYTES
  }

  handle({ payload, number, redelivered }: Delivery): unknown {
    return this.#host.receive(payload, number, redelivered)
  }

  volatile(_stream: number, payload: SessionPayload): void {
    this.#host.receive(payload)
  }

  pong(at: number): void {
    this.#host.line.answered(at)
  }

  carryOut(effect: Exclude<ClientEffect, PeerEffect>): void {
    switch (effect.do) {
      case 'opened':
        this.#offer.opened()
        this.#host.line.step({ type: 'opened' })
        return
      case 'hangUp': {
        const { code, reason, decision } = effect
        const broken = code === CLOSE.protocol
        const error =
          broken && new CommsError(`the server broke the protocol: ${reason}`, { code: 'PROTOCOL' })
        this.#speaks = undefined
        this.#lineIsGone(decision)
        this.#host.line.hangUp(code, reason, decision, error || undefined)
      }
    }
  }

  onEnd({ reason, doubtful, resent }: ClientEffect & { do: 'lost' }): void {
    const runtime = this.#runtime
    const inDoubt = doubtful.map(({ seq, payload }) => ({ id: runtime.idOf(seq), data: payload }))
    for (const { seq } of resent ? [] : doubtful) {
      const message = `message ${runtime.idOf(seq)} may or may not have been handled: ${LOST[reason]}`
      runtime.receipts.fail(seq, 'SESSION_LOST', message, false)
      this.#host.inDoubt(seq - runtime.offset, new CommsError(message, { code: 'SESSION_LOST' }))
    }
    // A session that ends in order and leaves nothing in doubt is no news.
    if (inDoubt.length === 0 && (reason === 'stopped' || reason === 'usedUp')) return
    runtime.events.add(() => this.#host.emit('sessionLost', { reason, inDoubt, resent }))
  }

  get hearsDelivered(): boolean {
    return this.#host.hears('delivered')
  }

  tell(news: SessionNews): void {
    const host = this.#host
    switch (news.name) {
      case 'delivered':
        host.emit('delivered', { id: this.#runtime.idOf(news.seq) })
        return
      case 'dropped':
        host.dropped(news.entry.seq - this.#runtime.offset, news.entry.payload, news.reason)
        return
      case 'flush':
        host.emit('flush', { stream: news.stream })
        return
      case 'drain':
        host.emit('drain')
        return
      case 'error':
        host.error(news.error as Error)
    }
  }

  stepped(): void {
    // The line wakes us for what comes first: only what has moved is worth asking for.
    const at = this.#runtime.wakeAt
    if (at !== this.#armedFor) {
      this.#armedFor = at
      this.#host.line.arm()
    }
    if (!this.#accepting) this.#host.settled()
  }

  schedule(writer: StoreWriter): void {
    // By then the step that emits writes has emitted all of them.
    queueMicrotask(() => writer.flush())
  }

  save(writes: readonly SessionWrite[]): Written {
    const { storage, clock } = this.#options
    return storage?.write(onWallClock(writes, clock) as readonly Write[]) as Promise<void> | undefined
  }

  stale(): void {}

  storeFailed(cause: unknown): void {
    const runtime = this.#runtime
    this.#machine.durable = false
    runtime.writer?.stop()
    runtime.writer = undefined
    runtime.report(storageError('cannot be written: a new session, in memory, takes over', cause))
    runtime.receipts.failStoring('STORAGE', 'the message could not be recorded; it is kept in memory')
    // Whose owner is another, what it holds is that one's to send.
    this.#session.storageFailed((cause as { reason?: unknown } | undefined)?.reason === 'lost')
    runtime.carryOut()
    // What it holds has become wrong: another process must not take it up.
    void this.#options.storage?.destroy()
  }

  storeIdle(): void {}

  /** Says why the client does not come back, unless the app or the server wished it. */
  #lineIsGone(decision: CloseDecision): void {
    this.#runtime.disconnected()
    if (decision.action === 'stop' && decision.reason !== 'closed') {
      const [message, init] = STOPPED[decision.reason]
      this.#host.error(new CommsError(message, init))
    }
    this.#runtime.carryOut()
  }

  /** How a message is sent, in the machine's terms; nothing for the most. */
  #wishes(options: SendOptions | undefined, now: number): QueueOptions | undefined {
    const { maxQueueAge } = this.#options
    if (!options && maxQueueAge === Infinity) return undefined
    const ttl = Math.min(options?.ttl ?? Infinity, maxQueueAge)
    return { priority: options?.priority ?? 0, ...(ttl < Infinity && { expiresAt: now + ttl }) }
  }
}

function bytesOf(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return data instanceof ArrayBuffer
    ? new Uint8Array(data)
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function storageError(what: string, cause: unknown): CommsError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CommsError(`the storage ${what} (${why})`, { code: 'STORAGE', cause })
}
