// A client and a server of guru.v1 without sockets: frames lie in queues until a test moves them, stores record when a
// test says so. Everything is synchronous and in the open.

import {
  type ClientHost,
  type ClientOptions,
  ClientSession,
  newClient,
} from '../../src/session/clientSession.ts'
import type { CloseDecision } from '../../src/session/closeDecision.ts'
import type { Entry } from '../../src/session/entry.ts'
import { type Frame, type Payload, payloadBytes, TEXT } from '../../src/session/frames.ts'
import { type WindowLimits, waitingDefaults, windowDefaults } from '../../src/session/limits.ts'
import type { ServerHost, ServerSession } from '../../src/session/serverSession.ts'
import { newTable, ServerTable, type TableHost } from '../../src/session/serverTable.ts'
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
  ...waitingDefaults,
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
  readonly table: ServerTable
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
  #ids = 0

  constructor(
    options: Partial<ClientOptions> & { limits?: Partial<WindowLimits>; serverDurable?: boolean } = {},
  ) {
    const { limits, serverDurable = false, ...client } = options
    this.client = new ClientSession(newClient(), { ...defaults, ...client }, this.#clientHost())
    this.table = new ServerTable(
      newTable(),
      {
        session: { ...defaults, durable: serverDurable, pingWish: 0 },
        limits: { ...windowDefaults, ...limits },
        ttl: 60_000,
        maxSessions: 10,
        maxSessionsPerPrincipal: 3,
      },
      this.#tableHost(),
    )
  }

  get session(): ServerSession {
    const [session] = this.table.sessions.values()
    if (!session) throw new Error('there is no session')
    return session
  }

  connect(principal: string | undefined = 'someone'): Connection {
    this.#ids += 1
    const connection: Connection = { id: this.#ids, toServer: [], toClient: [], open: true }
    this.#connections.set(connection.id, connection)
    this.connection = connection
    this.table.arrived(connection.id, principal, this.now)
    this.client.connected('', this.now)
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
    this.table.frame(connection.id, frame, this.now)
    return true
  }

  /** One frame arrives at the client. */
  toClient(): boolean {
    const frame = this.connection?.toClient.shift()
    if (frame === undefined) return false
    this.client.frame(frame, this.now)
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
  }

  /** The client's store has recorded everything. */
  record(): void {
    for (let write = this.writes.shift(); write; write = this.writes.shift())
      this.client.stored(write, this.now)
  }

  send(text: string, options = {}): string {
    return this.client.peer.send(TEXT, text, payloadBytes(text), this.now, options)
  }

  push(text: string): string {
    return this.session.peer.send(TEXT, text, payloadBytes(text), this.now)
  }

  advance(ms: number): void {
    this.now += ms
    this.client.wake(this.now)
    for (const session of this.table.sessions.values()) session.wake(this.now)
    this.table.wake(this.now)
  }

  #peerHost(
    side: 'client' | 'server',
    send: (frame: Frame) => void,
    settle: (sid: string, n: number) => void,
  ) {
    const handled = side === 'client' ? this.clientHandled : this.serverHandled
    return {
      send,
      deliver: (sid: string, number: number, _stream: number, payload: Payload, redelivered: boolean) => {
        handled.push({ sid, number, payload, redelivered })
        if (this.settleAtOnce) settle(sid, number)
      },
      volatile: (stream: number, payload: Payload) =>
        this.log.push(`${side} volatile ${stream} ${String(payload)}`),
      flush: (stream: number) => this.log.push(`${side} flush ${stream}`),
      accepted: (seq: number) => this.log.push(`${side} accepted ${seq}`),
      delivered: (seq: number) => {
        if (side === 'client') this.delivered.push(seq)
      },
      dropped: (entry: Entry, why: string) => this.log.push(`${side} dropped ${entry.seq} ${why}`),
      handlerTimedOut: (number: number) => this.log.push(`${side} timedOut ${number}`),
      ready: () => {},
      store: (write: Write) => void this.writes.push(write),
      pong: () => {},
    }
  }

  #clientHost(): ClientHost {
    return {
      ...this.#peerHost(
        'client',
        (frame) => this.connection?.toServer.push(frame),
        (sid, number) => this.client.peer.settled(sid, number, this.now),
      ),
      hangUp: (code, reason, decision) => {
        this.log.push(`client hangUp ${code} ${reason}`)
        this.decision = decision
        const { connection } = this
        this.connection = undefined
        if (connection) this.table.gone(connection.id, this.now)
      },
      opened: (resumed) => this.log.push(resumed ? 'client resumed' : 'client opened'),
      lost: (reason, doubtful, resent) =>
        this.log.push(`client lost ${reason} [${doubtful.map(({ seq }) => seq)}]${resent ? ' resent' : ''}`),
      emptied: (entry) => this.log.push(`client emptied ${entry.seq}`),
    }
  }

  #tableHost(): TableHost {
    const hangUp = (conn: number, code: number, reason: string) => {
      this.log.push(`server hangUp ${code} ${reason}`)
      this.table.hungUp(conn)
      if (this.connection?.id !== conn) return
      this.connection = undefined
      this.decision = this.client.closed(code, this.now)
    }
    return {
      hangUp,
      authenticate: (conn, auth) =>
        this.table.authenticated(conn, auth === 'wrong' ? undefined : '', this.now),
      lookUp: (_, sid) => void this.lookedUp.push(sid),
      makeNames: () => ({ sid: `s${this.table.sessions.size + 1}-${this.#ids}`, key: `k${this.#ids}` }),
      digest: (key) => `#${key}`,
      same: (one, other) => one === other,
      host: (sid): ServerHost => ({
        ...this.#peerHost(
          'server',
          (frame) =>
            this.#connections.get(this.table.sessions.get(sid)?.state.conn ?? 0)?.toClient.push(frame),
          (of, number) => this.table.sessions.get(sid)?.peer.settled(of, number, this.now),
        ),
        hangUp,
        opened: () => {},
        emptied: (entry) => this.log.push(`server emptied ${entry.seq}`),
        ended: (reason, undelivered) => {
          this.log.push(`server ended ${reason} [${undelivered.map(({ payload }) => payload)}]`)
          this.table.forget(sid)
        },
      }),
      begun: () => {},
    }
  }
}
