// All sessions of one server and the connections that carry them: does what `session/serverTable.ts` decides, over
// sockets that others accept. It knows no HTTP.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { CommsError } from '../core/errors.ts'
import { CLOSE } from '../session/closeCodes.ts'
import type { Resume } from '../session/control.ts'
import { NEVER } from '../session/entry.ts'
import type { Frame, Payload } from '../session/frames.ts'
import { FIRST_FRAME_MS } from '../session/limits.ts'
import type { ServerSession } from '../session/serverSession.ts'
import { newTable, ServerTable, type TableHost } from '../session/serverTable.ts'
import type { InboxMessage, PostFate, SessionOwner, SharedSessions } from '../session/sharedSessions.ts'
import { isSid } from '../session/sid.ts'
import type { StoredSession, Transact } from '../session/store.ts'
import { AddressQuota } from './AddressQuota.ts'
import { Alarms, type Sleeper } from './Alarms.ts'
import { ConnectionWatch } from './ConnectionWatch.ts'
import { Handovers } from './Handovers.ts'
import { ownerOf } from './MemoryBudget.ts'
import { principalOf } from './principalOf.ts'
import { whoGivesWay } from './queueShares.ts'
import { Rest } from './Rest.ts'
import { RefusalLog } from './refusals.ts'
import type { Session, SessionEvents } from './Session.ts'
import { SessionSocket, type SocketOwner } from './SessionSocket.ts'
import { type HostServer, type SessionCounts, SessionHost } from './sessionHost.ts'
import { digestOf, makeNames, sameDigest } from './sessionKeys.ts'
import type { ResolvedSessionServerOptions, SessionSendOptions } from './sessionServerOptions.ts'
import { onOwnClock, SessionWriter } from './sessionWriter.ts'
import { Tellings } from './Tellings.ts'
import { WriteRounds } from './WriteRounds.ts'

/** What the hub tells. */
export interface HubListener {
  /** A session can be used: a new one, or one that the store remembered. May throw. */
  onSession(session: Session): void
  /** Something failed. */
  onError(error: unknown, session: Session | undefined): void
}

/** A socket may hold twice a whole window, for the overhead of small frames and what is no message. */
const BUFFERED_WINDOWS = 2
const BUFFERED_BYTES = 2 ** 20
/** Volatile messages find room while no more than this waits in the socket. */
const VOLATILE_BYTES = 256 * 1024
const INTERNAL_ERROR = 1011

export class SessionHub implements HostServer, TableHost, SocketOwner, SessionOwner {
  readonly counts: SessionCounts = {
    messagesIn: 0,
    messagesOut: 0,
    volatileIn: 0,
    volatileOut: 0,
    redelivered: 0,
    acked: 0,
    dropped: 0,
    resumes: 0,
    losses: 0,
    movedAway: 0,
    posted: 0,
  }
  /** Those the app knows. */
  readonly sessions = new Map<string, Session>()
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
  readonly transact: Transact | undefined
  /** Payload bytes kept for all clients. */
  keptBytes = 0
  /** What a client is told that comes while we leave; `undefined` while we stay. */
  leaving: { readonly spreadMs: number; readonly why: string } | undefined
  readonly #options: ResolvedSessionServerOptions
  readonly #listener: HubListener
  readonly #table: ServerTable
  readonly #alarms: Alarms
  readonly #sockets = new Map<number, SessionSocket>()
  /** The requests of connections that are not authenticated yet. */
  readonly #requests = new Map<number, IncomingMessage>()
  readonly #hosts = new Map<string, SessionHost>()
  readonly #addresses: AddressQuota
  /** Sessions that are over while the store does not know it yet. */
  readonly #ending = new Map<string, Promise<void>>()
  readonly #handovers: Handovers
  readonly #shared: SharedSessions | undefined
  readonly #restored = Promise.withResolvers<void>()
  #started = false
  readonly #tableWaker: Sleeper = {
    alarmAt: Infinity,
    alarmIndex: -1,
    wake: (now) => this.#alarms.set(this.#tableWaker, this.#table.wake(now)),
  }
  readonly #rounds: WriteRounds
  readonly #tellings = new Tellings()
  readonly #watch: ConnectionWatch
  readonly #rest = new Rest()
  #conns = 0

  constructor(options: ResolvedSessionServerOptions, listener: HubListener) {
    this.#options = options
    this.#listener = listener
    this.#watch = new ConnectionWatch(options, new RefusalLog(options.logger, options.clock))
    this.#alarms = new Alarms(options.clock)
    this.#rounds = new WriteRounds(this.#alarms)
    this.#handovers = new Handovers(options.clock, options.handoverTimeout)
    this.#addresses = new AddressQuota(options.maxSessionsPerPrincipal)
    this.overflow = options.overflow
    const { store } = options
    this.transact = store?.transact?.bind(store)
    this.#shared = store?.shared
    const { pingInterval } = options
    const pingWish = pingInterval === Infinity ? 0 : pingInterval
    this.#table = new ServerTable(
      newTable(),
      {
        session: {
          durable: store !== undefined,
          handlerTimeout: options.handlerTimeout,
          // Clients that ping as they are asked to spare us asking.
          pingInterval: pingWish * 1.25,
          pongTimeout: options.pongTimeout,
          maxQueueMessages: options.maxQueueMessages,
          maxQueueBytes: options.maxQueueBytes,
          overflow: options.overflow,
          pingWish,
        },
        limits: {
          maxMessages: options.maxMessages,
          maxBytes: options.maxBytes,
          maxFrame: options.maxFrame,
        },
        ttl: options.ttl,
        maxSessions: options.maxSessions,
        maxSessionsPerPrincipal: options.authenticate ? options.maxSessionsPerPrincipal : Infinity,
      },
      this,
    )
    // A failure is told by `onError`, too.
    this.restored.catch(() => {})
  }

  /** Somebody sees sessions now: those in the store are taken up. */
  start(): void {
    if (this.#started) return
    this.#started = true
    this.#shared?.join(this)
    this.#restored.resolve(this.#restore())
  }

  /** Resolves when all that the store remembers has been taken up; rejects when it cannot be read. */
  get restored(): Promise<void> {
    return this.#restored.promise
  }

  get connections(): number {
    return this.#sockets.size
  }

  // Connections.

  /** A WebSocket has opened that speaks guru.v1. */
  arrived(socket: WebSocket, tcp: Duplex, request: IncomingMessage): void {
    this.#conns += 1
    const conn = this.#conns
    const { maxBytes, addressOf } = this.#options
    const maxBufferedBytes = BUFFERED_WINDOWS * maxBytes + BUFFERED_BYTES
    this.#sockets.set(
      conn,
      new SessionSocket(conn, socket, tcp, maxBufferedBytes, this, this.#watch, addressOf(request)),
    )
    this.#requests.set(conn, request)
    const now = this.now()
    this.#table.arrived(conn, undefined, now)
    const deadline = now + FIRST_FRAME_MS
    if (deadline < this.#tableWaker.alarmAt) this.#alarms.set(this.#tableWaker, deadline)
  }

  frame(socket: SessionSocket, frame: Frame): void {
    if (!this.#mayHear(socket.conn)) return
    this.#table.frame(socket.conn, frame, this.now())
    this.#after(socket.conn)
  }

  /** A frame of a session that may be another's by now is for nobody: its connection is about to end. */
  #mayHear(conn: number): boolean {
    return this.holds() || this.#table.state.connections.get(conn)?.phase !== 'attached'
  }

  isBusy(socket: SessionSocket): boolean {
    return this.#table.busy(socket.conn)
  }

  closed(socket: SessionSocket, code: number): void {
    const { conn } = socket
    if (!this.#sockets.delete(conn)) return
    this.#requests.delete(conn)
    const host = this.#hostOf(conn)
    this.#table.gone(conn, this.now(), code)
    host?.touched()
    this.rested()
  }

  update(conn: number): void {
    this.#sockets.get(conn)?.update()
  }

  #hostOf(conn: number): SessionHost | undefined {
    const sid = this.#table.state.connections.get(conn)?.sid
    return sid ? this.#hosts.get(sid) : undefined
  }

  #after(conn: number): void {
    this.#hostOf(conn)?.touched()
    this.#sockets.get(conn)?.update()
  }

  // What the table asks for.

  hangUp(conn: number, code: number, reason: string): void {
    this.#table.hungUp(conn)
    this.#requests.delete(conn)
    const socket = this.#sockets.get(conn)
    this.#sockets.delete(conn)
    socket?.end(code, reason)
  }

  authenticate(conn: number, auth: string | undefined): void {
    const request = this.#requests.get(conn)
    this.#requests.delete(conn)
    if (!request) return
    const asked = this.#table.state.connections.get(conn)?.asked
    if (asked?.t === 'open' && !this.#mayOpen(request)) {
      this.hangUp(conn, CLOSE.tooMany, 'too many sessions or queued messages')
      return
    }
    const { authenticate, authenticateTimeout: timeoutMs, clock } = this.#options
    if (!authenticate) {
      this.#table.authenticated(conn, '', this.now())
      const host = this.#hostOf(conn)
      if (host && asked?.t === 'open') this.#count(host, request)
      return
    }
    const onError = (error: unknown) => this.#listener.onError(error, undefined)
    void principalOf(authenticate, { request, auth }, { clock, timeoutMs, onError }).then((principal) => {
      this.#table.authenticated(conn, principal, this.now())
      this.#after(conn)
    })
  }

  lookUp(conn: number, sid: string): void {
    if (!isSid(sid)) {
      this.#table.found(conn, undefined, this.now())
      return
    }
    const epoch = this.#askedBy(conn)?.epoch ?? 0
    this.#find(conn, sid).then(
      (stored) => {
        this.#table.found(conn, stored, this.now())
        // Its connection is gone: it is here all the same, until another asks for it or it expires.
        if (stored && this.#shared) this.adopt({ ...stored, session: { ...stored.session, epoch } })
        this.#after(conn)
      },
      (error) => {
        this.#listener.onError(error, undefined)
        this.hangUp(conn, INTERNAL_ERROR, 'the store cannot be read')
      },
    )
  }

  #askedBy(conn: number): Resume | undefined {
    const asked = this.#table.state.connections.get(conn)?.asked
    return asked?.t === 'resume' ? asked : undefined
  }

  makeNames(): { sid: string; key: string } {
    return makeNames()
  }

  digest(key: string): string {
    return digestOf(key)
  }

  same(one: string, other: string): boolean {
    return sameDigest(one, other)
  }

  host(sid: string): SessionHost {
    const host = new SessionHost(sid, this)
    this.#hosts.set(sid, host)
    return host
  }

  begun(engine: ServerSession, restored: boolean): void {
    const { sid } = engine.state.peer
    const host = this.#hosts.get(sid) as SessionHost
    const { store, clock } = this.#options
    const writer = store && new SessionWriter(store, clock, sid, engine.state.epoch, host)
    host.begin(engine, writer)
    if (restored) this.#show(host)
    if (restored && !host.over) this.#shared?.collect(sid)
  }

  /** Whether one more session may begin, by what the table does not count. */
  #mayOpen(request: IncomingMessage): boolean {
    const { authenticate, addressOf } = this.#options
    const address = addressOf(request)
    if (!this.#makeRoom(1, ownerOf(undefined, address)) && this.keptBytes > 0) return false
    if (authenticate) return true
    return this.#addresses.hasRoom(address) || this.#evict(address)
  }

  /** A session of this address that was never heard from makes room. */
  #evict(address: string): boolean {
    for (const host of this.#hosts.values()) {
      const { state } = host.engine
      if (host.address !== address || state.phase !== 'detached' || state.heard) continue
      host.engine.end('evicted')
      return true
    }
    return false
  }

  #count(host: SessionHost, request: IncomingMessage): void {
    host.address = this.#options.addressOf(request)
    this.#addresses.add(host.address)
  }

  // What the store remembers.

  async #restore(): Promise<void> {
    const { store, clock } = this.#options
    if (!store) return
    // The app has this turn to add who else hears of them.
    await Promise.resolve()
    try {
      for await (const stored of store.list()) {
        if (this.#hosts.has(stored.session.sid)) continue
        this.#table.restore(onOwnClock(stored, clock), this.now())
      }
    } catch (error) {
      this.#listener.onError(error, undefined)
      throw error
    }
  }

  async #find(conn: number, sid: string): Promise<StoredSession | undefined> {
    // Before all are taken up, the same one could come twice.
    await this.restored.catch(() => {})
    // One that has just ended here may not be recorded as such yet.
    await this.#ending.get(sid)
    await this.#handovers.of(sid)
    const stored = await (this.#shared ? this.#take(this.#shared, conn, sid) : this.#options.store?.find(sid))
    return stored && onOwnClock(stored, this.#options.clock)
  }

  async #take(shared: SharedSessions, conn: number, sid: string): Promise<StoredSession | undefined> {
    const asked = this.#askedBy(conn)
    if (!asked) return undefined
    const { principal = '' } = this.#table.state.connections.get(conn) ?? {}
    const taken = await shared.take(sid, { key: digestOf(asked.key), principal, epoch: asked.epoch })
    if (taken === 'superseded') this.hangUp(conn, CLOSE.superseded, 'a newer epoch owns the session')
    else if (taken === 'unsure' || (taken && !shared.owns(sid)))
      this.hangUp(conn, CLOSE.goingAway, 'the session is not here')
    else return taken
    return undefined
  }

  schedule(writer: SessionWriter, late: boolean): void {
    this.#rounds.add(writer, late, this.now())
  }

  // What sessions ask for.

  now(): number {
    return this.#options.clock.now()
  }

  holds(): boolean {
    return this.#shared === undefined || this.#shared.holds()
  }

  tellFate(from: string, fate: PostFate): void {
    this.#shared?.tellFate(from, fate)
  }

  write(conn: number, frame: Frame): void {
    // Who may have lost a session does not speak for it.
    if (!this.holds()) return
    if (typeof frame === 'string') {
      const first = frame.charCodeAt(0)
      // A digit begins a message; what is volatile is counted where it is sent.
      if (first >= 0x30 && first <= 0x39) this.counts.messagesOut += 1
    } else if (frame[0] === 1) this.counts.messagesOut += 1
    this.#sockets.get(conn)?.send(frame)
  }

  hasRoom(conn: number): boolean {
    const socket = this.#sockets.get(conn)
    return socket !== undefined && socket.bufferedBytes <= VOLATILE_BYTES
  }

  keep(bytes: number): void {
    this.keptBytes += bytes
  }

  mayKeep(bytes: number, host: SessionHost): boolean {
    return this.#makeRoom(bytes, host.owner)
  }

  /** Whether so much more can be kept for this owner: whoever holds more gives way to him. */
  #makeRoom(bytes: number, owner: string): boolean {
    const { maxTotalQueueBytes } = this.#options
    while (this.keptBytes > 0 && this.keptBytes + bytes > maxTotalQueueBytes) {
      const victim = whoGivesWay(this.#hosts.values(), owner)
      if (!victim) return false
      const reason = `${victim.queuedBytes} bytes kept for it are given up`
      this.#watch.tell(reason, 'maxTotalQueueBytes', victim.owner)
      victim.lose('evicted')
    }
    return bytes <= maxTotalQueueBytes
  }

  notify<Name extends keyof SessionEvents & string>(
    session: Session,
    name: Name,
    ...args: SessionEvents[Name]
  ): void {
    this.#tellings.add(() => session.emit(name, ...args))
  }

  report(error: unknown, session?: Session): void {
    this.#listener.onError(error, session)
  }

  setAlarm(host: SessionHost, at: number): void {
    this.#alarms.set(host, at)
  }

  opened(host: SessionHost, resumed: boolean): void {
    if (resumed) this.counts.resumes += 1
    if (!host.shown) this.#show(host)
    if (host.over) return
    if (!resumed) this.#shared?.collect(host.sid)
    this.notify(host.session, 'connected', { resumed })
    if (this.leaving) this.#sendAway(host, this.leaving.spreadMs, this.leaving.why)
  }

  ended(host: SessionHost): void {
    this.#alarms.set(host, Infinity)
    this.#table.forget(host.sid)
    this.#hosts.delete(host.sid)
    this.sessions.delete(host.sid)
    if (host.recording) this.#ending.set(host.sid, host.whenRecorded())
    if (host.address !== undefined) this.#addresses.remove(host.address)
    this.rested()
  }

  #show(host: SessionHost): void {
    host.shown = true
    this.sessions.set(host.sid, host.session)
    try {
      this.#listener.onSession(host.session)
    } catch (error) {
      // Without its listeners, its messages would be acknowledged and lost.
      this.#listener.onError(error, host.session)
      host.lose('failed')
    }
  }

  /** Sends to all; returns how many took it. */
  broadcast(payload: Payload, options: SessionSendOptions): number {
    let taken = 0
    for (const host of [...this.#hosts.values()]) {
      if (!host.shown) continue
      try {
        host.sendPayload(payload, options)
        taken += 1
      } catch (error) {
        if ((error as CommsError).code !== 'QUEUE_FULL') throw error
      }
    }
    return taken
  }

  // What other processes on the store want.

  letGo(sid: string): Promise<number | undefined> {
    const known = this.#handovers.of(sid)
    if (known) return known
    const host = this.#hosts.get(sid)
    // Found for a connection that had gone, and not taken up.
    if (!host) return Promise.resolve(this.#ending.get(sid)).then(() => undefined)
    // Who comes for it here from now on has to look it up.
    this.#table.forget(sid)
    this.#hosts.delete(sid)
    this.sessions.delete(sid)
    this.counts.movedAway += 1
    return this.#handovers.begin(host, () => this.rested())
  }

  lapsed(): void {
    for (const host of [...this.#hosts.values()]) host.takenOver('leaseLost')
  }

  adopt(stored: StoredSession): void {
    const { sid } = stored.session
    if (this.leaving || this.#hosts.has(sid) || this.#handovers.has(sid) || this.#ending.has(sid)) return
    this.#table.restore(onOwnClock(stored, this.#options.clock), this.now())
  }

  posted(sid: string, messages: readonly InboxMessage[]): void {
    const { clock } = this.#options
    const offset = clock.now() - clock.wallNow()
    const host = this.#hosts.get(sid)
    for (const message of messages) {
      const { expiresAt } = message
      host?.take(expiresAt === NEVER ? message : { ...message, expiresAt: Math.max(0, expiresAt + offset) })
    }
  }

  whispered(sid: string | undefined, stream: number, payload: Payload): void {
    const hosts = sid === undefined ? [...this.#hosts.values()] : [this.#hosts.get(sid)]
    for (const host of hosts) if (host?.shown) host.whisper(stream, payload)
  }

  // Leaving.

  /** Asks every client to leave within `spreadMs`, each at a random moment. */
  sendAllAway(spreadMs: number, why: string): void {
    this.leaving = { spreadMs, why }
    for (const host of this.#hosts.values()) this.#sendAway(host, spreadMs, why)
  }

  #sendAway(host: SessionHost, spreadMs: number, why: string): void {
    host.engine.goAway(Math.round(this.#options.random() * spreadMs), why)
  }

  /** Resolves when `test` holds; looked at whenever something has come to rest. */
  whenRested(test: () => boolean): { promise: Promise<void>; stop: () => void } {
    return this.#rest.when(test)
  }

  recorded(host: SessionHost): void {
    this.#ending.delete(host.sid)
    this.rested()
  }

  rested(): void {
    this.#rest.look()
  }

  /** Whether nothing is to be handled, recorded, sent or told any more. */
  get isIdle(): boolean {
    for (const host of this.#hosts.values()) if (host.busy) return false
    return this.#ending.size === 0 && this.#handovers.size === 0
  }

  /** Ends every session (those in a store live on) and every connection. */
  end(): void {
    this.#alarms.stop()
    // What is asked for from now on is nobody's here.
    void this.#shared?.leave()
    for (const host of [...this.#hosts.values()]) {
      if (this.#options.store) host.leave()
      else host.lose('shutdown')
    }
    // Who has asked for them does not wait for what there is no time for.
    this.#handovers.hurry()
    for (const conn of [...this.#sockets.keys()])
      this.hangUp(conn, CLOSE.goingAway, 'the server is going away')
  }
}
