// The sessions of one server: does what `session/serverTable.ts` decides, with rooms for what is around it: connections,
// admission, and what is shared with other servers. It knows no HTTP.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { CommsError } from '../core/errors.ts'
import { CLOSE } from '../session/closeCodes.ts'
import type { Resume } from '../session/control.ts'
import { DeferredEvents } from '../session/deferredEvents.ts'
import type { Frame, Payload } from '../session/frames.ts'
import { newTable, ServerTable, type TableEffect } from '../session/serverTable.ts'
import type { PostFate } from '../session/sharedSessions.ts'
import { isSid } from '../session/sid.ts'
import type { SessionWrite, StoredSession, Transact } from '../session/store.ts'
import { onWallClock } from '../session/storeClock.ts'
import type { StoreWriter, Written } from '../session/storeWriter.ts'
import { TurnClock } from '../session/turnClock.ts'
import { Alarms } from './Alarms.ts'
import { ConnectionWatch } from './ConnectionWatch.ts'
import type { HostServer } from './hostServer.ts'
import { IdleWaiter } from './IdleWaiter.ts'
import { ownerOf } from './MemoryBudget.ts'
import { whoGivesWay } from './queueShares.ts'
import { RefusalLog } from './refusals.ts'
import type { Session } from './Session.ts'
import type { SessionSocket } from './SessionSocket.ts'
import { SessionAdmission } from './sessionAdmission.ts'
import { type ClusterServer, SessionCluster } from './sessionCluster.ts'
import { type ConnectionsOwner, SessionConnections } from './sessionConnections.ts'
import type { SessionCounts } from './sessionCounts.ts'
import { SessionHost } from './sessionHost.ts'
import { digestOf, makeNames, sameDigest } from './sessionKeys.ts'
import type { ResolvedSessionServerOptions, SessionSendOptions } from './sessionServerOptions.ts'
import { SessionView } from './sessionView.ts'
import { WriteRounds } from './WriteRounds.ts'

/** What the hub tells. */
export interface HubListener {
  /** A session can be used: a new one, or one that the store remembered. May throw. */
  onSession(session: Session): void
  /** Something failed. */
  onError(error: unknown, session: Session | undefined): void
}

const GOING_AWAY = 'the server is going away'
const INTERNAL_ERROR = 1011

export class SessionHub implements HostServer, ConnectionsOwner, ClusterServer {
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
  readonly known: ReadonlyMap<string, Session>
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
  readonly transact: Transact | undefined
  readonly handlerTimeout: number
  readonly events = new DeferredEvents((run, again) => {
    // One that sends what was dropped, and has it dropped again, must not keep all others from their turn.
    if (again) setImmediate(run)
    else queueMicrotask(run)
  })
  readonly connections: SessionConnections
  /** What a client is told that comes while we leave; `undefined` while we stay. */
  #ended = false
  #leaving: { readonly spreadMs: number; readonly why: string } | undefined
  readonly #options: ResolvedSessionServerOptions
  readonly #listener: HubListener
  readonly #clock: TurnClock
  readonly #table: ServerTable<SessionHost>
  readonly #alarms: Alarms
  readonly #admission: SessionAdmission
  readonly #watch: ConnectionWatch
  readonly #cluster: SessionCluster
  readonly #rounds: WriteRounds
  readonly #idle = new IdleWaiter()
  readonly #restored = Promise.withResolvers<void>()
  #started = false

  constructor(options: ResolvedSessionServerOptions, listener: HubListener) {
    this.#options = options
    this.#listener = listener
    this.#clock = new TurnClock(options.clock)
    this.#alarms = new Alarms(options.clock)
    this.#rounds = new WriteRounds(this.#alarms)
    this.#watch = new ConnectionWatch(options, new RefusalLog(options.logger, options.clock))
    this.#admission = new SessionAdmission(options, (error) => this.report(error))
    this.#cluster = new SessionCluster(this, options)
    this.connections = new SessionConnections(this, this.#alarms, options.maxBytes, this.#watch)
    const { store, handlerTimeout, overflow, pingInterval, pongTimeout } = options
    this.overflow = overflow
    this.transact = store?.transact?.bind(store)
    this.handlerTimeout = handlerTimeout
    const pingWish = pingInterval === Infinity ? 0 : pingInterval
    const { maxQueueMessages, maxQueueBytes, maxMessages, maxBytes, maxFrame, ttl, maxSessions } = options
    this.#table = new ServerTable<SessionHost>(
      newTable(),
      {
        session: {
          durable: store !== undefined,
          handlerTimeout,
          // Clients that ping as they are asked to spare us asking.
          pingInterval: pingWish * 1.25,
          pongTimeout,
          maxQueueMessages,
          maxQueueBytes,
          overflow,
          pingWish,
        },
        limits: { maxMessages, maxBytes, maxFrame },
        ttl,
        maxSessions,
        maxSessionsPerPrincipal: this.#admission.asks ? options.maxSessionsPerPrincipal : Infinity,
      },
      { makeNames, digest: digestOf, same: sameDigest },
      (machine) => new SessionHost(machine, this),
    )
    this.known = new SessionView(this.#table.sessions)
    // A failure is told by `onError`, too.
    this.restored.catch(() => {})
  }

  /** Somebody sees sessions now: those in the store are taken up. */
  start(): void {
    if (this.#started) return
    this.#started = true
    this.#cluster.join()
    this.#restored.resolve(this.#restoreAll())
  }

  /** Resolves when all that the store remembers has been taken up; rejects when it cannot be read. */
  get restored(): Promise<void> {
    return this.#restored.promise
  }

  get keptBytes(): number {
    return this.#admission.keptBytes
  }

  /** A WebSocket has opened that speaks guru.v1. */
  add(socket: WebSocket, tcp: Duplex, request: IncomingMessage): void {
    this.connections.add(socket, tcp, request)
  }

  /** Sends to all; returns how many took it. */
  broadcast(payload: Payload, options: SessionSendOptions): number {
    let taken = 0
    for (const host of [...this.#table.sessions.values()]) {
      if (!host.shown || host.over) continue
      try {
        host.sendPayload(payload, options)
        taken += 1
      } catch (error) {
        if ((error as CommsError).code !== 'QUEUE_FULL') throw error
      }
    }
    return taken
  }

  /** Asks every client to leave within `spreadMs`, each at a random moment. */
  sendAllAway(spreadMs: number, why: string): void {
    this.#leaving = { spreadMs, why }
    for (const host of this.#table.sessions.values()) this.#sendAway(host)
  }

  /** Resolves when `test` holds; looked at whenever something has come to rest. */
  whenRested(test: () => boolean): { promise: Promise<void>; stop: () => void } {
    return this.#idle.when(test)
  }

  /** Whether nothing is to be handled, recorded, sent or acknowledged any more. */
  get isIdle(): boolean {
    for (const host of this.#table.sessions.values()) if (host.busy) return false
    return true
  }

  /** Ends every session (those in a store live on) and every connection. */
  end(): void {
    this.#ended = true
    this.#alarms.stop()
    // What is asked for from now on is nobody's here.
    this.#cluster.leave()
    for (const host of [...this.#table.sessions.values()]) {
      // Who has asked for it does not wait for what there is no time for.
      if (host.machine.state.phase === 'over') host.takenOver('takenOver')
      else if (this.#options.store) host.leave()
      else host.lose('shutdown')
    }
    // The table forgets them, too: a look-up that is still under way brings no session any more.
    for (const conn of [...this.#table.state.connections.keys()])
      this.hangUp(conn, CLOSE.goingAway, GOING_AWAY)
    this.connections.hangUpAll(CLOSE.goingAway, GOING_AWAY)
  }

  // What connections bring.

  arrived(conn: number, now: number): void {
    this.#table.arrived(conn, undefined, now)
  }

  first(conn: number, frame: Frame, now: number): void {
    this.#table.first(conn, frame, now)
    this.#carryOut()
  }

  isBusy(conn: number): boolean {
    return this.#table.busy(conn)
  }

  connectionGone(conn: number, code: number, now: number): void {
    this.#table.gone(conn, now, code)
    this.#carryOut()
    this.rested()
  }

  wakeConnections(now: number): number {
    const next = this.#table.wake(now)
    this.#carryOut()
    return next
  }

  // What the table asks for.

  #carryOut(): void {
    const { effects } = this.#table
    for (let effect = effects.take(); effect; effect = effects.take()) this.#do(effect)
  }

  #do(effect: TableEffect<SessionHost>): void {
    switch (effect.do) {
      case 'hangUp':
        this.hangUp(effect.conn, effect.code, effect.reason)
        return
      case 'authenticate':
        void this.#authenticate(effect.conn, effect.auth)
        return
      case 'lookUp':
        void this.#lookUp(effect.conn)
        return
      case 'stepped':
        effect.session.carryOutAll()
        return
      case 'begun': {
        const { session, restored, epoch } = effect
        session.begin(this.#options.store && epoch)
        if (!restored) return
        this.#show(session)
        this.#cluster.collect(session)
      }
    }
  }

  async #authenticate(conn: number, auth: string | undefined): Promise<void> {
    const request = this.connections.takeRequest(conn)
    if (!request) return
    const isNew = this.#table.state.connections.get(conn)?.asked?.t === 'open'
    const owner = ownerOf(undefined, this.#options.addressOf(request))
    const hasRoom = !isNew || this.keptBytes === 0 || this.#makeRoom(1, owner)
    if (isNew && !(hasRoom && this.#admission.mayOpen(request, (address) => this.#evict(address)))) {
      this.hangUp(conn, CLOSE.tooMany, 'too many sessions or queued messages')
      return
    }
    if (this.#admission.asks) {
      this.#authenticated(conn, await this.#admission.principalOf(request, auth))
      return
    }
    this.#authenticated(conn, '')
    const host = isNew ? this.#table.sessionOf(conn) : undefined
    if (host) this.#admission.count(host, request)
  }

  #authenticated(conn: number, principal: string | undefined): void {
    this.#table.authenticated(conn, principal, this.now())
    this.#carryOut()
    this.connections.get(conn)?.update()
  }

  async #lookUp(conn: number): Promise<void> {
    const { asked, principal = '' } = this.#table.state.connections.get(conn) ?? {}
    if (asked?.t !== 'resume') return
    try {
      // No store is asked for what cannot be a name.
      const stored = isSid(asked.sid) ? await this.#cluster.find(conn, asked as Resume, principal) : undefined
      this.#table.found(conn, stored, this.now())
      this.#carryOut()
      // Its connection is gone: it is here all the same, until another asks for it or it expires.
      if (stored) this.#cluster.keep(stored, asked.epoch)
      this.connections.get(conn)?.update()
    } catch (error) {
      this.report(error)
      this.hangUp(conn, INTERNAL_ERROR, 'the store cannot be read')
    }
  }

  /** A session of this address that was never heard from makes room. */
  #evict(address: string): boolean {
    const done = this.#table.evict((_, host) => host.address === address)
    this.#carryOut()
    return done
  }

  // What the store remembers.

  async #restoreAll(): Promise<void> {
    // The app has this turn to add who else hears of them.
    await Promise.resolve()
    try {
      for await (const stored of this.#cluster.list())
        if (!this.sessions.has(stored.session.sid)) this.restore(stored)
    } catch (error) {
      this.report(error)
      throw error
    }
  }

  restore(stored: StoredSession): void {
    this.#table.restore(stored, this.now())
    this.#carryOut()
  }

  get sessions(): ReadonlyMap<string, SessionHost> {
    return this.#table.sessions
  }

  alive(sid: string): SessionHost | undefined {
    return this.#table.alive(sid)
  }

  get isLeaving(): boolean {
    return this.#ended || this.#leaving !== undefined
  }

  movedAway(): void {
    this.counts.movedAway += 1
  }

  // What sessions ask for.

  now(): number {
    return this.#clock.now()
  }

  leaseValid(): boolean {
    return this.#cluster.leaseValid()
  }

  tellFate(from: string, fate: PostFate): void {
    this.#cluster.tellFate(from, fate)
  }

  socket(conn: number): SessionSocket | undefined {
    return this.connections.get(conn)
  }

  hangUp(conn: number, code: number, reason: string): void {
    this.#table.hungUp(conn)
    this.connections.hangUp(conn, code, reason)
  }

  keep(bytes: number): void {
    this.#admission.keptBytes += bytes
  }

  mayKeep(bytes: number, host: SessionHost): boolean {
    return this.#makeRoom(bytes, host.owner)
  }

  /** Whether so much more can be kept for this owner: whoever holds more gives way to him. */
  #makeRoom(bytes: number, owner: string): boolean {
    if (bytes > this.#options.maxTotalQueueBytes) return false
    while (!this.#admission.mayKeep(bytes)) {
      const victim = whoGivesWay(this.#table.sessions.values(), owner)
      if (!victim || victim.over) return false
      const reason = `${victim.queuedBytes} bytes kept for it are given up`
      this.#watch.tell(reason, 'maxTotalQueueBytes', victim.owner)
      victim.lose('evicted')
    }
    return true
  }

  report(error: unknown, session?: Session): void {
    this.#listener.onError(error, session)
  }

  setAlarm(host: SessionHost, at: number): void {
    this.#alarms.set(host, at)
  }

  schedule(writer: StoreWriter, late: boolean): void {
    this.#rounds.add(writer, late, this.now())
  }

  save({ sid }: SessionHost, writes: readonly SessionWrite[], held: number): Written {
    const { store, clock } = this.#options
    return store?.write(sid, held, onWallClock(writes, clock))
  }

  opened(host: SessionHost, resumed: boolean): void {
    if (resumed) this.counts.resumes += 1
    if (!host.shown) this.#show(host)
    if (host.over) return
    if (!resumed) this.#cluster.collect(host)
    this.events.add(() => host.session.emit('connected', { resumed }))
    this.#sendAway(host)
  }

  over(host: SessionHost): void {
    this.#alarms.set(host, Infinity)
    this.#table.over(host)
    this.#carryOut()
    this.#admission.discount(host)
    this.rested()
  }

  gone(host: SessionHost): void {
    this.#table.forget(host)
    this.rested()
  }

  rested(): void {
    this.#idle.look()
  }

  #sendAway(host: SessionHost): void {
    if (!this.#leaving) return
    const { spreadMs, why } = this.#leaving
    host.goAway(Math.round(this.#options.random() * spreadMs), why)
  }

  #show(host: SessionHost): void {
    host.shown = true
    try {
      this.#listener.onSession(host.session)
    } catch (error) {
      // Without its listeners, its messages would be acknowledged and lost.
      this.report(error, host.session)
      host.lose('failed')
    }
  }
}
