// A client and a server of guru.v1 without sockets: frames lie in queues until a test moves them, stores record when a
// test says so. Everything is synchronous and in the open.

import { type ClientOptions, ClientSession, newClient } from '../../src/session/clientSession.ts'
import type { CloseDecision } from '../../src/session/closeDecision.ts'
import { encodeAck, encodeControl } from '../../src/session/control.ts'
import type { ClientEffect, PeerEffect, ServerEffect } from '../../src/session/effects.ts'
import { encodeReliable, type Frame, type Payload, payloadBytes, TEXT } from '../../src/session/frames.ts'
import { backlogDefaults, type WindowLimits, windowDefaults } from '../../src/session/limits.ts'
import type { ServerSession } from '../../src/session/serverSession.ts'
import { type Kept, newTable, ServerTable } from '../../src/session/serverTable.ts'
import type { Write } from '../../src/session/store.ts'

export interface Handled {
  readonly sid: string
  readonly number: number
  readonly payload: Payload
  readonly redelivered: boolean
}

interface Connection {
  readonly id: number
  toServer: Frame[]
  toClient: Frame[]
  open: boolean
}

const defaults: ClientOptions = {
  ...backlogDefaults,
  durable: false,
  handlerTimeout: Infinity,
  pingInterval: 0,
  pongTimeout: 10_000,
  onSessionLost: 'report',
  ttl: 0,
}

export class SessionPair {
  now = 0
  readonly client: ClientSession
  readonly table: ServerTable<Kept>
  /** The client's current connection. */
  connection: Connection | undefined
  readonly clientHandled: Handled[] = []
  readonly serverHandled: Handled[] = []
  readonly delivered: number[] = []
  readonly log: string[] = []
  readonly writes: Write[] = []
  /** Sessions that the server has asked its store for. */
  readonly lookedUp: string[] = []
  decision: CloseDecision | undefined
  /** Whether handlers settle as soon as they begin. */
  settleAtOnce = true
  #connections = new Map<number, Connection>()
  /** The connection that each session's frames go out on. */
  readonly #carriers = new Map<ServerSession, number>()
  #ids = 0

  constructor(
    options: Partial<ClientOptions> & { limits?: Partial<WindowLimits>; serverDurable?: boolean } = {},
  ) {
    const { limits, serverDurable = false, ...client } = options
    this.client = new ClientSession(newClient(), { ...defaults, ...client })
    this.table = new ServerTable(
      newTable(),
      {
        session: { ...defaults, durable: serverDurable, pingWish: 0 },
        limits: { ...windowDefaults, ...limits },
        ttl: 60_000,
        maxSessions: 10,
        maxSessionsPerPrincipal: 3,
      },
      {
        makeNames: () => ({ sid: `s${this.table.sessions.size + 1}-${this.#ids}`, key: `k${this.#ids}` }),
        digest: (key) => `#${key}`,
        same: (one, other) => one === other,
      },
      (machine) => ({ sid: machine.state.peer.sid, machine, counted: false }),
    )
  }

  get session(): ServerSession {
    const [session] = this.table.sessions.values()
    if (!session) throw new Error('there is no session')
    return session.machine
  }

  connect(principal: string | undefined = 'someone'): Connection {
    this.#ids += 1
    const connection: Connection = { id: this.#ids, toServer: [], toClient: [], open: true }
    this.#connections.set(connection.id, connection)
    this.connection = connection
    this.table.arrived(connection.id, principal, this.now)
    this.client.connected('', this.now)
    this.carryOut()
    return connection
  }

  /** Frames arrive, one at a time, until none is under way. */
  run(): void {
    while (this.toServer() || this.toClient());
  }

  /** One frame arrives at the server. */
  toServer(connection = this.connection): boolean {
    if (!connection || this.table.busy(connection.id)) return false
    const frame = connection.toServer.shift()
    if (frame === undefined) return false
    this.frame(connection.id, frame)
    return true
  }

  /** A frame arrives at the server, on whatever connection. */
  frame(conn: number, frame: Frame): void {
    const session = this.table.sessionOf(conn)
    if (session) session.machine.frame(conn, frame, this.now)
    else this.table.first(conn, frame, this.now)
    this.carryOut()
  }

  /** One frame arrives at the client. */
  toClient(): boolean {
    const frame = this.connection?.toClient.shift()
    if (frame === undefined) return false
    this.client.frame(frame, this.now)
    this.carryOut()
    return true
  }

  /** The connection breaks: what is under way is lost, both sides see it. */
  cut(code = 1006): void {
    const { connection } = this
    if (!connection) return
    this.connection = undefined
    this.#connections.delete(connection.id)
    this.decision = this.client.closed(code, this.now)
    this.table.gone(connection.id, this.now, code)
    this.carryOut()
  }

  /** The client's store has recorded everything. */
  record(): void {
    for (let write = this.writes.shift(); write; write = this.writes.shift())
      this.#carrying(() => this.client.stored(write, this.now))
  }

  send(text: string, options = {}): string {
    return this.#carrying(() =>
      this.client.peer.sender.send(TEXT, text, payloadBytes(text), this.now, options),
    )
  }

  push(text: string): string {
    return this.#carrying(() => this.session.peer.sender.send(TEXT, text, payloadBytes(text), this.now))
  }

  advance(ms: number): void {
    this.now += ms
    this.client.wake(this.now)
    for (const { machine } of this.table.sessions.values()) machine.wake(this.now)
    this.table.wake(this.now)
    this.carryOut()
  }

  #carrying<T>(step: () => T): T {
    const result = step()
    this.carryOut()
    return result
  }

  /** Does what the machines ask for, until they ask for nothing. */
  carryOut(): void {
    const { client, table } = this
    for (let again = true; again; ) {
      again = false
      for (let effect = client.effects.take(); effect; effect = client.effects.take()) {
        again = true
        this.#ofClient(effect)
      }
      for (let effect = table.effects.take(); effect; effect = table.effects.take()) {
        again = true
        if (effect.do === 'hangUp') this.#serverHangsUp(effect.conn, effect.code, effect.reason)
        else if (effect.do === 'authenticate')
          table.authenticated(effect.conn, effect.auth === 'wrong' ? undefined : '', this.now)
        else if (effect.do === 'lookUp') this.lookedUp.push(effect.sid)
        else again = this.#ofSession(effect.session.machine) || again
      }
      for (const { machine } of [...table.sessions.values()]) again = this.#ofSession(machine) || again
    }
  }

  #ofClient(effect: ClientEffect): void {
    switch (effect.do) {
      case 'hangUp': {
        this.log.push(`client hangUp ${effect.code} ${effect.reason}`)
        this.decision = effect.decision
        const { connection } = this
        this.connection = undefined
        if (connection) this.table.gone(connection.id, this.now)
        return
      }
      case 'opened':
        this.log.push(effect.resumed ? 'client resumed' : 'client opened')
        return
      case 'lost': {
        const { reason, doubtful, resent } = effect
        const seqs = doubtful.map(({ seq }) => seq)
        this.log.push(`client lost ${reason} [${seqs}]${resent ? ' resent' : ''}`)
        return
      }
      default:
        this.#ofPeer('client', effect, (frame) => void this.connection?.toServer.push(frame))
    }
  }

  #ofSession(machine: ServerSession): boolean {
    let some = false
    const { effects } = machine
    for (let effect = effects.take(); effect; effect = effects.take()) {
      some = true
      this.#ofServer(machine, effect)
    }
    return some
  }

  #ofServer(machine: ServerSession, effect: ServerEffect): void {
    switch (effect.do) {
      case 'attach':
        this.#carriers.set(machine, effect.conn)
        return
      case 'hangUp':
        this.#serverHangsUp(effect.conn, effect.code, effect.reason)
        return
      case 'opened':
        return
      case 'ended':
        this.log.push(`server ended ${effect.reason} [${effect.undelivered.map(({ payload }) => payload)}]`)
        for (const kept of [...this.table.sessions.values()])
          if (kept.machine === machine) this.table.forget(kept)
        return
      default: {
        const conn = this.#carriers.get(machine) ?? 0
        this.#ofPeer(
          'server',
          effect,
          (frame) => void this.#connections.get(conn)?.toClient.push(frame),
          machine,
        )
      }
    }
  }

  #serverHangsUp(conn: number, code: number, reason: string): void {
    this.log.push(`server hangUp ${code} ${reason}`)
    this.table.hungUp(conn)
    if (this.connection?.id !== conn) return
    this.connection = undefined
    this.decision = this.client.closed(code, this.now)
  }

  #ofPeer(
    side: 'client' | 'server',
    effect: PeerEffect,
    send: (frame: Frame) => void,
    machine: ServerSession | ClientSession = this.client,
  ): void {
    switch (effect.do) {
      case 'send':
        send(effect.frame)
        return
      case 'transmit':
        send(encodeReliable(effect.number, TEXT, effect.text))
        return
      case 'sendAck':
        send(encodeAck(effect.rx))
        return
      case 'sendPong':
        send(encodeControl({ t: 'pong', at: effect.at }))
        return
      case 'sendFlushed':
        send(encodeControl({ t: 'flushed', stream: effect.stream }))
        return
      case 'store':
        this.writes.push(effect.write)
        return
      case 'deliver': {
        const { sid, number, payload, redelivered } = effect
        const handled = side === 'client' ? this.clientHandled : this.serverHandled
        handled.push({ sid, number, payload, redelivered })
        if (this.settleAtOnce) machine.peer.settled(sid, number, this.now)
        return
      }
      case 'delivered':
        if (side === 'client') this.delivered.push(effect.seq)
        return
      case 'volatile':
        this.log.push(`${side} volatile ${effect.stream} ${String(effect.payload)}`)
        return
      case 'flush':
        this.log.push(`${side} flush ${effect.stream}`)
        return
      case 'accepted':
        this.log.push(`${side} accepted ${effect.seq}`)
        return
      case 'dropped':
        this.log.push(`${side} dropped ${effect.entry.seq} ${effect.reason}`)
        return
      case 'setAside':
        this.log.push(`${side} emptied ${effect.entry.seq}`)
        return
      case 'handlerTimedOut':
        this.log.push(`${side} timedOut ${effect.number}`)
    }
  }
}
