// Carries out what the machine of one session says: starts handlers, settles receipts, tells the app, records.

import { CommsError } from '../core/errors.ts'
import { type Entry, NEVER } from '../session/entry.ts'
import { type Frame, type Payload, payloadBytes, TEXT } from '../session/frames.ts'
import type { EndReason, ServerHost, ServerSession } from '../session/serverSession.ts'
import type { InboxMessage, PostFate } from '../session/sharedSessions.ts'
import type { SessionWrite, Transact, Write } from '../session/store.ts'
import type { Sleeper } from './Alarms.ts'
import { isThenable } from './guard.ts'
import { LiveReceipts } from './LiveReceipts.ts'
import { ownerOf } from './MemoryBudget.ts'
import { MessageContext } from './messageContext.ts'
import { Posts } from './Posts.ts'
import { decodeMessage, encodeMessage } from './payload.ts'
import {
  type DroppedSessionMessage,
  Session,
  type SessionActions,
  type SessionEvents,
  type SessionHandler,
  type SessionLossReason,
  type SessionMessage,
} from './Session.ts'
import {
  LOST_VOLATILE,
  messageId,
  SENT_VOLATILE,
  type SessionReceipt,
  SettledReceipt,
} from './sessionReceipt.ts'
import type { SessionSendOptions } from './sessionServerOptions.ts'
import type { SessionWriter, WriterOwner } from './sessionWriter.ts'

/** What happened, counted since the server was made. */
export interface SessionCounts {
  messagesIn: number
  messagesOut: number
  volatileIn: number
  volatileOut: number
  redelivered: number
  acked: number
  dropped: number
  resumes: number
  losses: number
  /** Sessions that were given to another process that had asked for them. */
  movedAway: number
  /** Messages that other processes had posted. */
  posted: number
}

/** What a session asks of the server it belongs to. */
export interface HostServer {
  readonly counts: SessionCounts
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
  readonly transact: Transact | undefined
  now(): number
  /** Whether its sessions are still its own: asked before anything is done by itself. */
  holds(): boolean
  /** Says to who posted a message what became of it. */
  tellFate(from: string, fate: PostFate): void
  /** Puts a frame on a connection. */
  write(conn: number, frame: Frame): void
  /** Whether a connection can take a volatile message now. */
  hasRoom(conn: number): boolean
  hangUp(conn: number, code: number, reason: string): void
  /** The payload bytes kept for a client have changed by so many. */
  keep(bytes: number): void
  /** Whether so many more may be kept. */
  mayKeep(bytes: number, host: SessionHost): boolean
  /** Calls the listeners of a session, after the step. */
  notify<Name extends keyof SessionEvents & string>(
    session: Session,
    name: Name,
    ...args: SessionEvents[Name]
  ): void
  /** Something failed that no listener of the session hears. */
  report(error: unknown, session: Session): void
  setAlarm(host: SessionHost, at: number): void
  schedule(writer: SessionWriter, late: boolean): void
  /** Nothing of a session is left to be recorded. */
  recorded(host: SessionHost): void
  /** Something may have come to rest. */
  rested(): void
  /** Messages can be sent: shows a new session to the app; one that is shown already goes on. */
  opened(host: SessionHost, resumed: boolean): void
  /** The connection of a session may have become free to say more. */
  update(conn: number): void
  ended(host: SessionHost): void
}

export class SessionHost implements ServerHost, SessionActions, Sleeper, WriterOwner {
  readonly sid: string
  readonly session: Session
  handler: SessionHandler | undefined
  over = false
  connected = false
  /** Whether the app knows it. */
  shown = false
  /** Of who opened it, where addresses are counted. */
  address: string | undefined
  alarmAt = Infinity
  alarmIndex = -1
  readonly #server: HostServer
  #engine!: ServerSession
  #writer: SessionWriter | undefined
  #receipts: LiveReceipts | undefined
  #recorded: PromiseWithResolvers<void> | undefined
  #kept = 0
  #refused = 0
  #lossReason: SessionLossReason | undefined
  #posts: Posts | undefined
  /** Another process waits for it: resolves when nothing of it is left to be handled or recorded. */
  #settling: PromiseWithResolvers<void> | undefined

  constructor(sid: string, server: HostServer) {
    this.sid = sid
    this.#server = server
    this.session = new Session(this)
  }

  /** Its machine, and what records for it. */
  begin(engine: ServerSession, writer: SessionWriter | undefined): void {
    this.#engine = engine
    this.#writer = writer
    this.touched()
  }

  get engine(): ServerSession {
    return this.#engine
  }

  /** Whether something of it is still to be recorded, told or handled. */
  get busy(): boolean {
    const { peer, phase } = this.#engine.state
    const { inbox, outbox, waiting } = peer
    if (inbox.taken > inbox.rx || this.recording) return true
    return (
      phase === 'up' && (inbox.rx > inbox.told || outbox.last > outbox.acked || waiting.entries.length > 0)
    )
  }

  /** Whether something of it is not recorded yet. */
  get recording(): boolean {
    return this.#writer?.busy ?? false
  }

  /** Resolves when nothing of it is left to be recorded. */
  whenRecorded(): Promise<void> {
    this.#recorded ??= Promise.withResolvers<void>()
    return this.#recorded.promise
  }

  /** After every step: what follows from the state it has reached. */
  touched(): void {
    const { state } = this.#engine
    const { outbox, waiting } = state.peer
    const kept = outbox.bytes + waiting.bytes
    if (this.over) return
    if (kept !== this.#kept) {
      this.#server.keep(kept - this.#kept)
      this.#kept = kept
    }
    const connected = state.phase === 'up'
    if (connected !== this.connected) {
      this.connected = connected
      if (!connected && this.shown) this.#server.notify(this.session, 'disconnected')
    }
    if (this.#settling) {
      if (this.isSettled) this.#settling.resolve()
      return
    }
    const at = this.#engine.wakeAt
    // One that comes too early finds nothing due: cheaper than moving it with each message.
    if (at < this.alarmAt) this.#server.setAlarm(this, at)
    this.#server.rested()
  }

  wake(now: number): void {
    // What another process owns by now does not expire here.
    if (!this.#server.holds()) return
    this.#engine.wake(now)
    this.touched()
  }

  // What the app asks for.

  get principal(): string {
    return this.#engine.state.principal
  }

  /** Whom it belongs to, where what is kept is shared out. */
  get owner(): string {
    return ownerOf(this.principal === '' ? undefined : this.principal, this.address)
  }

  /** Whether no connection carries it. */
  get away(): boolean {
    return this.#engine.state.phase === 'detached'
  }

  get queuedMessages(): number {
    return this.over ? 0 : this.#engine.peer.waiting + this.#engine.peer.unacknowledged
  }

  get queuedBytes(): number {
    return this.#kept
  }

  sendMessage(data: unknown, options: SessionSendOptions): SessionReceipt {
    return this.sendPayload(encodeMessage(data), options)
  }

  /** As `sendMessage`, for what is encoded already. */
  sendPayload(payload: Payload, { volatile, priority, ttl = Infinity, stream = 0 }: SessionSendOptions) {
    const on = typeof payload === 'string' ? TEXT : stream
    if (volatile) return this.#sendVolatile(on, payload)
    const server = this.#server
    const { peer } = this.#engine
    // Its end has been told: who listens for drops and sends them again would do so for ever.
    if (this.over) return this.#refuse('the session is over')
    const bytes = payloadBytes(payload)
    if (!server.mayKeep(bytes, this)) {
      const what = 'the server keeps as much as it may (maxTotalQueueBytes)'
      if (server.overflow === 'reject') throw new CommsError(`send: ${what}`, { code: 'QUEUE_FULL' })
      const receipt = this.#refuse(what)
      server.notify(this.session, 'dropped', { id: receipt.id, reason: 'overflow', data: payload })
      return receipt
    }
    const now = server.now()
    const receipt = this.#live.add(peer.state.seq + 1)
    const expiresAt = ttl === Infinity ? NEVER : now + ttl
    const result = peer.send(on, payload, bytes, now, { priority, expiresAt })
    if (result === 'taken') {
      if (!this.#writer) receipt.accept()
    } else if (result !== 'dropped') {
      this.#live.forget(receipt.seq)
      throw refusalOf(result, bytes, peer.state.limits.maxFrame)
    }
    this.touched()
    return receipt
  }

  interrupt(stream: number): boolean {
    return !this.over && this.#engine.peer.interrupt(stream)
  }

  whenReady(): Promise<void> {
    if (this.over) {
      const refused = Promise.reject(lost('the session is over'))
      refused.catch(() => {})
      return refused
    }
    return this.#engine.peer.waiting === 0 ? Promise.resolve() : this.#live.whenReady()
  }

  close(): void {
    this.#engine.end('ended')
  }

  report(error: unknown): void {
    if (this.session.listenerCount('error') > 0) this.#server.notify(this.session, 'error', error)
    else this.#server.report(error, this.session)
  }

  /** Ends it for a reason that is not the app's wish. */
  lose(reason: SessionLossReason): void {
    if (this.over) return
    this.#lossReason = reason
    this.#engine.end('ended')
  }

  /** The process stops and the store keeps the session: nobody will know here what became of its messages. */
  leave(): void {
    this.over = true
    this.#writer?.stop()
    this.#failReceipts('the server has closed: the store keeps the message')
    this.#posts?.giveUp()
  }

  /** Sends what another process has posted; that one is told what becomes of it. */
  take({ id, from, stream, payload, priority, expiresAt }: InboxMessage): void {
    if (this.over) return
    const { peer } = this.#engine
    const seq = peer.state.seq + 1
    this.#posts ??= new Posts((to, fate) => this.#server.tellFate(to, fate))
    this.#posts.add(seq, from)
    const bytes = payloadBytes(payload)
    const result = this.#server.mayKeep(bytes, this)
      ? peer.send(stream, payload, bytes, this.#server.now(), { priority, expiresAt })
      : 'rejected'
    if (result !== 'taken' && result !== 'dropped') {
      this.#server.counts.dropped += 1
      this.#posts.settle(seq, 'dropped')
    }
    this.#server.counts.posted += 1
    // In one batch with what the message has become.
    this.#writer?.push({ kind: 'took', sid: this.sid, id })
    this.touched()
  }

  /** Sends a volatile message, if there is a connection with room for it. */
  whisper(stream: number, payload: Payload): void {
    this.#sendVolatile(stream, payload)
  }

  /** Whether its handlers have settled, and all is recorded. */
  get isSettled(): boolean {
    const { inbox } = this.#engine.state.peer
    return inbox.taken === inbox.rx && !this.recording
  }

  /**
   * Another process wants it: its connection ends, no handler begins any more, those that run have a while to settle. After that it is over
   * here. Resolves to up to where they may have begun, when all have settled.
   */
  async moveAway(within: (settled: Promise<void>) => Promise<void>): Promise<number | undefined> {
    if (this.over) return undefined
    this.#settling = Promise.withResolvers<void>()
    this.#engine.fenced()
    this.#writer?.flush()
    this.touched()
    if (!this.isSettled) await within(this.#settling.promise)
    const { suspect } = this.#engine.state.peer.inbox
    const settled = this.isSettled
    this.takenOver('takenOver')
    // What others may have begun before, and was not handed over here since, is still suspect.
    return settled ? suspect : undefined
  }

  /** It is another's by now, or nobody's. */
  takenOver(reason: SessionLossReason): void {
    if (this.over) return
    // What is not known to be recorded may be lost.
    const inDoubt = this.#writer?.unrecorded ?? []
    this.#writer?.stop()
    this.#engine.fenced()
    this.#lost(
      reason,
      inDoubt.map(({ seq, payload }) => ({ id: messageId(seq), data: payload })),
    )
    this.#server.ended(this)
  }

  #sendVolatile(stream: number, payload: Payload): SessionReceipt {
    const { conn } = this.#engine.state
    if (this.over || !this.#server.hasRoom(conn) || !this.#engine.peer.sendVolatile(stream, payload)) {
      return LOST_VOLATILE
    }
    this.#server.counts.volatileOut += 1
    return SENT_VOLATILE
  }

  /** A message that finds no place at all: it has no number in the machine. */
  #refuse(why: string): SessionReceipt {
    this.#refused += 1
    this.#server.counts.dropped += 1
    const error = new CommsError(`the message was dropped: ${why}`, { code: 'DROPPED' })
    return new SettledReceipt(`refused${this.#refused}`, error, error)
  }

  #cancel(seq: number): boolean {
    if (this.over || !this.#engine.peer.cancel(seq)) return false
    this.#receipts?.cancel(seq)
    this.touched()
    return true
  }

  get #live(): LiveReceipts {
    this.#receipts ??= new LiveReceipts((seq) => this.#cancel(seq))
    return this.#receipts
  }

  // What the machine says.

  send(frame: Frame): void {
    this.#server.write(this.#engine.state.conn, frame)
  }

  deliver(sid: string, number: number, stream: number, payload: Payload, redelivered: boolean): void {
    const { counts } = this.#server
    counts.messagesIn += 1
    if (redelivered) counts.redelivered += 1
    let data: unknown
    try {
      data = decodeMessage(payload)
    } catch (error) {
      this.report(error)
      this.#settled(sid, number)
      return
    }
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
    if (context.recording === undefined && !isThenable(result)) {
      this.#settled(sid, number)
      return
    }
    void context
      .whenSettled(result, (error) => this.report(error))
      .then(() => {
        this.#settled(sid, number)
        this.touched()
      })
  }

  #settled(sid: string, number: number): void {
    if (!this.over) this.#engine.peer.settled(sid, number, this.#server.now())
  }

  /** Runs a handler's deed in the store's transaction. */
  async record<T>(number: number, run: (database: never) => T): Promise<T> {
    if (this.over) throw lost('record: the session is over')
    const { transact } = this.#server
    if (transact) return transact(this.sid, number, run as (database: unknown) => T)
    if (this.#writer) throw new CommsError('record: this store has no transactions', { code: 'UNSUPPORTED' })
    return run(undefined as never)
  }

  volatile(stream: number, payload: Payload): void {
    this.#server.counts.volatileIn += 1
    if (this.session.listenerCount('volatile') === 0) return
    try {
      this.session.emit('volatile', decodeMessage(payload), stream === TEXT ? undefined : stream)
    } catch (error) {
      this.report(error)
    }
  }

  flush(stream: number): void {
    this.session.emit('flush', stream)
  }

  accepted(seq: number): void {
    this.#receipts?.accept(seq)
  }

  delivered(seq: number): void {
    this.#server.counts.acked += 1
    this.#receipts?.arrive(seq)
    this.#posts?.settle(seq, 'delivered')
    if (this.session.listenerCount('delivered') > 0)
      this.#server.notify(this.session, 'delivered', { id: messageId(seq) })
  }

  dropped({ seq, payload }: Entry, reason: DroppedSessionMessage['reason']): void {
    this.#server.counts.dropped += 1
    this.#posts?.settle(seq, 'dropped')
    this.#receipts?.drop(seq, reason)
    const told = { id: messageId(seq), reason, data: payload }
    const tell = () => this.#server.notify(this.session, 'dropped', told)
    if (reason === 'closed') this.#atTheEnd(tell)
    else tell()
  }

  emptied({ seq, payload, bytes }: Entry): void {
    const id = messageId(seq)
    const error = lost(`the client refused message ${id} for its size (${bytes} bytes): it is set aside`)
    this.#server.counts.dropped += 1
    this.#receipts?.fail(seq, error)
    this.#posts?.settle(seq, 'unknown')
    this.#server.notify(this.session, 'dropped', { id, reason: 'refused', data: payload })
    this.report(error)
  }

  handlerTimedOut(number: number): void {
    const what = `the handler of message ${this.sid}/${number} has not settled in time: it counts as settled`
    this.report(new CommsError(what, { code: 'TIMEOUT' }))
  }

  ready(): void {
    this.#receipts?.ready()
  }

  pong(): void {}

  store(write: Write): void {
    this.#writer?.push(write)
  }

  hangUp(conn: number, code: number, reason: string): void {
    this.#server.hangUp(conn, code, reason)
  }

  opened(resumed: boolean): void {
    this.connected = true
    this.#server.opened(this, resumed)
  }

  ended(reason: EndReason, undelivered: readonly Entry[]): void {
    const inDoubt = undelivered.map(
      ({ seq, payload }): SessionMessage => ({ id: messageId(seq), data: payload }),
    )
    if (reason === 'closed' || (reason === 'ended' && !this.#lossReason)) {
      this.#finish('the session was closed')
      const by = reason === 'closed' ? 'client' : 'server'
      if (this.shown) this.#atTheEnd(() => this.#server.notify(this.session, 'closed', { by, inDoubt }))
    } else this.#lost(this.#lossReason ?? (reason as SessionLossReason), inDoubt)
    this.#server.ended(this)
  }

  // What became of the records.

  schedule(writer: SessionWriter, late: boolean): void {
    this.#server.schedule(writer, late)
  }

  stored(write: SessionWrite): void {
    if (this.over || write.kind === 'took') return
    this.#engine.stored(write, this.#server.now())
    this.touched()
    this.#server.update(this.#engine.state.conn)
  }

  stale(): void {
    this.takenOver(this.#server.holds() ? 'takenOver' : 'leaseLost')
  }

  failed(error: unknown): void {
    // The same again when not even the end can be recorded.
    if (this.#lossReason !== 'storage') this.report(error)
    this.lose('storage')
  }

  rested(): void {
    this.#recorded?.resolve()
    this.#recorded = undefined
    if (this.#settling && this.isSettled) this.#settling.resolve()
    this.#server.recorded(this)
  }

  #lost(reason: SessionLossReason, inDoubt: readonly SessionMessage[]): void {
    this.#server.counts.losses += 1
    this.#finish(`the session was lost: ${reason}`)
    if (this.shown) this.#atTheEnd(() => this.#server.notify(this.session, 'lost', { reason, inDoubt }))
  }

  /** What is told of the end: not before it is recorded, or another process would still deliver what was reported. */
  #atTheEnd(tell: () => void): void {
    if (this.recording) void this.whenRecorded().then(tell)
    else tell()
  }

  #finish(why: string): void {
    this.over = true
    this.connected = false
    this.#failReceipts(why)
    this.#posts?.giveUp()
    this.#server.keep(-this.#kept)
    this.#kept = 0
  }

  #failReceipts(why: string): void {
    if (!this.#receipts) return
    this.#receipts.failAll(lost(why))
    this.#receipts = undefined
  }
}

function lost(why: string): CommsError {
  return new CommsError(why, { code: 'SESSION_LOST' })
}

function refusalOf(result: 'rejected' | 'tooLarge' | 'empty', bytes: number, maxFrame: number): CommsError {
  switch (result) {
    case 'rejected':
      return new CommsError('send: the queue of the session is full', { code: 'QUEUE_FULL' })
    case 'tooLarge': {
      const what = `send: the message has ${bytes} bytes, at most ${maxFrame} are taken (maxFrame)`
      return new CommsError(what, { code: 'BAD_REQUEST' })
    }
    case 'empty':
      return new CommsError('send: a text without a character cannot be sent', { code: 'BAD_REQUEST' })
  }
}
