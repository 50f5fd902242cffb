// One session of a server: the server's side of `session/SessionRuntime.ts`. It lends the machine a connection, a timer and
// a store, and shows the session to the app.

import { CommsError } from '../core/errors.ts'
import type { EndReason, PeerEffect, ServerEffect } from '../session/effects.ts'
import { type Entry, NEVER } from '../session/entry.ts'
import { type Frame, type Payload, payloadBytes, TEXT } from '../session/frames.ts'
import {
  LOST_VOLATILE,
  MessageReceipt,
  messageId,
  type Receipt,
  SENT_VOLATILE,
  SettledReceipt,
} from '../session/receipts.ts'
import {
  type Delivery,
  type RuntimeSide,
  type SessionNews,
  SessionRuntime,
} from '../session/SessionRuntime.ts'
import type { ServerSession } from '../session/serverSession.ts'
import type { Kept } from '../session/serverTable.ts'
import type { InboxMessage } from '../session/sharedSessions.ts'
import type { SessionWrite } from '../session/store.ts'
import { newWriter, type StoreWriter, type Written } from '../session/storeWriter.ts'
import type { Sleeper } from './Alarms.ts'
import type { HostServer } from './hostServer.ts'
import { ownerOf } from './MemoryBudget.ts'
import { MessageContext } from './messageContext.ts'
import { decodeMessage, encodeMessage } from './payload.ts'
import {
  Session,
  type SessionActions,
  type SessionEvents,
  type SessionHandler,
  type SessionLossReason,
  type SessionMessage,
} from './Session.ts'
import type { SessionSocket } from './SessionSocket.ts'
import type { SessionCounts } from './sessionCounts.ts'
import type { SessionSendOptions } from './sessionServerOptions.ts'

/** Volatile messages find room while no more than this waits in the socket. */
const VOLATILE_BYTES = 256 * 1024

export class SessionHost implements RuntimeSide<ServerEffect>, SessionActions, Sleeper, Kept {
  readonly sid: string
  readonly machine: ServerSession
  readonly session: Session
  handler: SessionHandler | undefined
  counted = false
  over = false
  connected = false
  /** Whether the app knows it. */
  shown = false
  /** Of who opened it, where addresses are counted. */
  address: string | undefined
  alarmAt = Infinity
  alarmIndex = -1
  readonly #server: HostServer
  readonly #runtime: SessionRuntime<ServerEffect, ServerSession>
  /** The connection that its frames go out on. */
  #socket: SessionSocket | undefined
  #kept = 0
  #refused = 0
  #lossReason: SessionLossReason | undefined
  /** Another process waits for it: resolves when nothing of it is left to be handled or recorded. */
  #settling: PromiseWithResolvers<void> | undefined
  #whenGone: PromiseWithResolvers<void> | undefined

  constructor(machine: ServerSession, server: HostServer) {
    this.sid = machine.state.peer.sid
    this.machine = machine
    this.#server = server
    this.#runtime = new SessionRuntime<ServerEffect, ServerSession>(machine, this, server.events)
    this.session = new Session(this)
  }

  /** It has come into memory. @param epoch under which its store knows it; `undefined` without a store */
  begin(epoch: number | undefined): void {
    if (epoch !== undefined) this.#runtime.startRecording(newWriter(epoch))
    this.carryOutAll()
  }

  /** Does what the machine's latest steps ask for. */
  carryOutAll(): void {
    this.#runtime.carryOut()
  }

  /** A frame came in on one of its connections, past or present. */
  frame(conn: number, frame: Frame): void {
    // What may be another's by now is for nobody: its connection is about to end.
    if (!this.#server.leaseValid()) return
    this.machine.frame(conn, frame, this.#server.now())
    this.#runtime.carryOut()
  }

  /** Whether something of it is still to be recorded, acknowledged or handled. */
  get busy(): boolean {
    const { peer, phase } = this.machine.state
    const { inbox, outbox, backlog } = peer
    if (this.over || inbox.taken > inbox.rx || this.recording) return true
    return phase === 'up' && (inbox.rx > inbox.acked || outbox.last > outbox.acked || backlog.messages > 0)
  }

  /** Whether something of it is not recorded yet. */
  get recording(): boolean {
    return this.#runtime.writer?.busy ?? false
  }

  /** Resolves when it is over, and nothing of it is left to be recorded. */
  get whenGone(): Promise<void> {
    this.#whenGone ??= Promise.withResolvers<void>()
    return this.#whenGone.promise
  }

  wake(now: number): void {
    // What another process owns by now does not expire here.
    if (this.#server.leaseValid()) this.#runtime.wake(now)
  }

  goAway(after: number, why: string): void {
    this.machine.goAway(after, why)
    this.#runtime.carryOut()
  }

  // What the app asks for.

  get principal(): string {
    return this.machine.state.principal
  }

  /** Whom it belongs to, where what is kept is shared out. */
  get owner(): string {
    return ownerOf(this.principal === '' ? undefined : this.principal, this.address)
  }

  /** Whether no connection carries it. */
  get away(): boolean {
    return this.machine.state.phase === 'detached'
  }

  get queuedMessages(): number {
    const { sender } = this.machine.peer
    return this.over ? 0 : sender.waiting + sender.unacknowledged
  }

  get queuedBytes(): number {
    return this.#kept
  }

  sendMessage(data: unknown, options: SessionSendOptions): Receipt {
    return this.sendPayload(encodeMessage(data), options)
  }

  /** As `sendMessage`, for what is encoded already. */
  sendPayload(payload: Payload, options: SessionSendOptions): Receipt {
    const { volatile, priority, ttl = Infinity, stream = 0 } = options
    const on = typeof payload === 'string' ? TEXT : stream
    if (volatile) return this.#sendVolatile(on, payload)
    // Its end has been told: who listens for drops and sends them again would do so for ever.
    if (this.over) return this.#refuse('the session is over')
    const server = this.#server
    const bytes = payloadBytes(payload)
    if (!server.mayKeep(bytes, this)) {
      const what = 'the server keeps as much as it may (maxTotalQueueBytes)'
      if (server.overflow === 'reject') throw new CommsError(`send: ${what}`, { code: 'QUEUE_FULL' })
      const receipt = this.#refuse(what)
      this.#notify('dropped', { id: receipt.id, reason: 'overflow', data: payload })
      return receipt
    }
    const expiresAt = ttl === Infinity ? NEVER : server.now() + ttl
    const seq = this.#runtime.send(on, payload, bytes, true, { priority, expiresAt })
    return new MessageReceipt(this.#runtime, seq)
  }

  interrupt(stream: number): boolean {
    return !this.over && this.#runtime.interrupt(stream)
  }

  whenReady(): Promise<void> {
    if (!this.over) return this.#runtime.whenReady()
    const refused = Promise.reject(lost('the session is over'))
    refused.catch(() => {})
    return refused
  }

  close(): void {
    this.machine.end('ended')
    this.#runtime.carryOut()
  }

  report(error: unknown): void {
    if (this.session.listenerCount('error') > 0) this.#notify('error', error)
    else this.#server.report(error, this.session)
  }

  // What the server asks for.

  /** Ends it for a reason that is not the app's wish. */
  lose(reason: SessionLossReason): void {
    if (this.over) return
    this.#lossReason = reason
    this.close()
  }

  /** The process stops and the store keeps the session: nobody will know here what became of its messages. */
  leave(): void {
    this.over = true
    this.#runtime.writer?.stop()
    this.#runtime.close(lost('the server has closed: the store keeps the message'))
  }

  /** Sends what another process has posted; that one is told what becomes of it. */
  take({ id, from, stream, payload, priority, expiresAt }: InboxMessage): void {
    if (this.over) return
    const server = this.#server
    const bytes = payloadBytes(payload)
    server.counts.posted += 1
    try {
      if (!server.mayKeep(bytes, this)) throw new CommsError('there is no room', { code: 'DROPPED' })
      const seq = this.#runtime.send(stream, payload, bytes, true, { priority, expiresAt })
      this.#runtime.delivered(seq).then(
        () => server.tellFate(from, 'delivered'),
        (error: CommsError) => server.tellFate(from, error.code === 'DROPPED' ? 'dropped' : 'unknown'),
      )
    } catch {
      server.counts.dropped += 1
      server.tellFate(from, 'dropped')
    }
    // In one batch with what the message has become.
    this.#runtime.writer?.push({ kind: 'took', sid: this.sid, id })
  }

  /** Sends a volatile message, if there is a connection with room for it. */
  publish(stream: number, payload: Payload): void {
    this.#sendVolatile(stream, payload)
  }

  /** Whether its handlers have settled, and all is recorded. */
  get isSettled(): boolean {
    const { inbox } = this.machine.state.peer
    return inbox.taken === inbox.rx && !this.recording
  }

  /**
   * Another process wants it: its connection ends, no handler begins any more, those that run have a while to settle. After that it is over
   * here. Resolves to up to where they may have begun, when all have settled.
   */
  async release(within: (settled: Promise<void>) => Promise<void>): Promise<number | undefined> {
    if (this.over) return undefined
    this.#settling = Promise.withResolvers<void>()
    this.machine.fenced()
    this.#runtime.carryOut()
    this.#runtime.writer?.flush()
    this.stepped()
    if (!this.isSettled) await within(this.#settling.promise)
    const { suspect } = this.machine.state.peer.inbox
    const settled = this.isSettled
    this.takenOver('takenOver')
    // What others may have begun before, and was not handed over here since, is still suspect.
    return settled ? suspect : undefined
  }

  /** It is another's by now, or nobody's. */
  takenOver(reason: SessionLossReason): void {
    if (this.over) return
    // What is not known to be recorded may be lost.
    const inDoubt = this.#runtime.writer?.unrecorded ?? []
    this.machine.fenced()
    this.#runtime.carryOut()
    this.#runtime.writer?.stop()
    this.#finish(`the session was lost: ${reason}`)
    this.#tellLoss(reason, inDoubt)
    this.#isOver()
  }

  // What the runtime has done.

  now(): number {
    return this.#server.now()
  }

  get counts(): SessionCounts {
    return this.#server.counts
  }

  get handlerTimeout(): number {
    return this.#server.handlerTimeout
  }

  endOfTurn(run: () => void): void {
    queueMicrotask(run)
  }

  write(frame: Frame): void {
    // Who may have lost a session does not speak for it.
    if (!this.#server.leaseValid()) return
    if (typeof frame !== 'string' && frame[0] === 1) this.#server.counts.messagesOut += 1
    this.#socket?.send(frame)
  }

  writeNumbered(number: number, text: string): void {
    if (!this.#server.leaseValid()) return
    this.#server.counts.messagesOut += 1
    this.#socket?.send(`${number}:${text}`)
  }

  get isCongested(): boolean {
    return this.#socket !== undefined && this.#socket.bufferedBytes > VOLATILE_BYTES
  }

  handle({ number, stream, payload, redelivered }: Delivery): unknown {
    const { counts } = this.#server
    counts.messagesIn += 1
    if (redelivered) counts.redelivered += 1
    const data = decodeMessage(payload)
    const context = new MessageContext(this, number, redelivered, stream)
    let result: unknown
    if (this.handler) {
      try {
        result = this.handler(data, context)
      } catch (error) {
        this.report(error)
      }
    }
    this.session.emit('message', data, context)
    return context.recording === undefined
      ? result
      : context.whenSettled(result, (error) => this.report(error))
  }

  /** Runs a handler's deed in the store's transaction. */
  async record<T>(number: number, run: (database: never) => T): Promise<T> {
    if (this.over) throw lost('record: the session is over')
    const { transact } = this.#server
    if (transact) return transact(this.sid, number, run as (database: unknown) => T)
    if (this.#runtime.writer) {
      throw new CommsError('record: this store has no transactions', { code: 'UNSUPPORTED' })
    }
    return run(undefined as never)
  }

  volatile(stream: number, payload: Payload): void {
    this.#server.counts.volatileIn += 1
    if (this.session.listenerCount('volatile') === 0) return
    this.session.emit('volatile', decodeMessage(payload), stream === TEXT ? undefined : stream)
  }

  pong(): void {}

  carryOut(effect: Exclude<ServerEffect, PeerEffect>): void {
    switch (effect.do) {
      case 'attach':
        this.#runtime.disconnected()
        this.#socket = this.#server.socket(effect.conn)
        this.#socket?.carry(this)
        return
      case 'hangUp':
        this.#server.hangUp(effect.conn, effect.code, effect.reason)
        return
      case 'opened':
        this.connected = true
        this.#server.opened(this, effect.resumed)
        // What came in meanwhile was held back.
        this.#socket?.update()
        return
      case 'ended':
        this.#finish('the session is over')
        this.#isOver()
    }
  }

  onEnd({ reason, undelivered }: ServerEffect & { do: 'ended' }): void {
    const why = this.#lossReason ?? reason
    const inDoubt = undelivered.map(messageOf)
    for (const { seq } of undelivered) {
      const message = `message ${messageId(seq)} may or may not have been handled: the session is over (${why})`
      this.#runtime.receipts.fail(seq, 'SESSION_LOST', message, this.#runtime.isUnrecorded(seq))
    }
    if (why !== 'closed' && why !== 'ended') this.#tellLoss(why, undelivered)
    else if (this.shown) this.#notify('closed', { by: why === 'closed' ? 'client' : 'server', inDoubt })
  }

  get hearsDelivered(): boolean {
    return this.session.listenerCount('delivered') > 0
  }

  tell(news: SessionNews): void {
    const { session } = this
    switch (news.name) {
      case 'delivered':
        session.emit('delivered', { id: messageId(news.seq) })
        return
      case 'dropped': {
        const { entry, reason } = news
        session.emit('dropped', { ...messageOf(entry), reason })
        return
      }
      case 'flush':
        session.emit('flush', news.stream)
        return
      case 'error':
        this.report(news.error)
    }
  }

  /** What follows from the state that a step has reached. */
  stepped(): void {
    if (this.over) return
    const server = this.#server
    const { outbox, backlog } = this.machine.state.peer
    const kept = outbox.bytes + backlog.bytes
    if (kept !== this.#kept) {
      server.keep(kept - this.#kept)
      this.#kept = kept
    }
    if (this.#socket && this.machine.state.conn === 0) {
      this.#socket = undefined
      this.#runtime.disconnected()
    }
    if (this.connected && this.machine.state.phase !== 'up') {
      this.connected = false
      if (this.shown) this.#notify('disconnected')
    }
    if (this.#settling) {
      if (this.isSettled) this.#settling.resolve()
      return
    }
    // One that comes too early finds nothing due: cheaper than moving it with each message.
    const at = this.#runtime.wakeAt
    if (at < this.alarmAt) server.setAlarm(this, at)
    server.rested()
  }

  schedule(writer: StoreWriter, late: boolean): void {
    this.#server.schedule(writer, late)
  }

  save(writes: readonly SessionWrite[], held: number): Written {
    return this.#server.save(this, writes, held)
  }

  stale(): void {
    this.takenOver(this.#server.leaseValid() ? 'takenOver' : 'leaseLost')
  }

  storeFailed(error: unknown): void {
    // The same again when not even the end can be recorded.
    if (this.#lossReason !== 'storage') this.report(error)
    this.lose('storage')
  }

  storeIdle(): void {
    if (this.#settling && this.isSettled) this.#settling.resolve()
    if (this.over) this.#gone()
    this.#server.rested()
  }

  #sendVolatile(stream: number, payload: Payload): Receipt {
    if (this.over || !this.#socket || this.isCongested || !this.#runtime.sendVolatile(stream, payload)) {
      return LOST_VOLATILE
    }
    this.#server.counts.volatileOut += 1
    return SENT_VOLATILE
  }

  /** A message that finds no place at all: it has no number in the machine. */
  #refuse(why: string): Receipt {
    this.#refused += 1
    this.#server.counts.dropped += 1
    const error = new CommsError(`the message was dropped: ${why}`, { code: 'DROPPED' })
    return new SettledReceipt(`refused${this.#refused}`, error, error)
  }

  #notify<Name extends keyof SessionEvents & string>(name: Name, ...args: SessionEvents[Name]): void {
    this.#runtime.events.add(() => this.session.emit(name, ...args))
  }

  /** Tells of a loss; what was not acknowledged is in doubt. */
  #tellLoss(reason: SessionLossReason | EndReason, entries: readonly Entry[]): void {
    const inDoubt = entries.map(messageOf)
    this.#server.counts.losses += 1
    if (this.shown) this.#notify('lost', { reason: reason as SessionLossReason, inDoubt })
  }

  #finish(why: string): void {
    this.over = true
    this.connected = false
    this.#runtime.close(lost(why))
    this.#server.keep(-this.#kept)
    this.#kept = 0
  }

  #isOver(): void {
    this.#server.over(this)
    if (!this.recording) this.#gone()
  }

  #gone(): void {
    this.#server.gone(this)
    this.#whenGone?.resolve()
  }
}

function messageOf({ seq, payload }: Entry): SessionMessage {
  return { id: messageId(seq), data: payload }
}

function lost(why: string): CommsError {
  return new CommsError(why, { code: 'SESSION_LOST' })
}
