// The connections of one server that speak guru.v1, by their numbers: sockets that others accept, their first frames, and
// who they are until they carry a session.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Frame } from '../session/frames.ts'
import { FIRST_FRAME_MS } from '../session/limits.ts'
import type { Alarms, Sleeper } from './Alarms.ts'
import type { ConnectionWatch } from './ConnectionWatch.ts'
import { SessionSocket, type SocketOwner } from './SessionSocket.ts'

/** What connections bring. */
export interface ConnectionsOwner {
  now(): number
  arrived(conn: number, now: number): void
  /** A frame came in on a connection that carries no session yet. */
  first(conn: number, frame: Frame, now: number): void
  isBusy(conn: number): boolean
  /** One has ended by itself. */
  connectionGone(conn: number, code: number, now: number): void
  /** Closes those that have said nothing in time. Returns when to look again. */
  wakeConnections(now: number): number
}

/** A socket may hold twice a whole window, for the overhead of small frames and what is no message. */
const BUFFERED_WINDOWS = 2
const BUFFERED_BYTES = 2 ** 20

export class SessionConnections implements SocketOwner, Sleeper {
  alarmAt = Infinity
  alarmIndex = -1
  readonly #owner: ConnectionsOwner
  readonly #alarms: Alarms
  readonly #watch: ConnectionWatch
  readonly #maxBufferedBytes: number
  readonly #sockets = new Map<number, SessionSocket>()
  /** The requests of connections that are not authenticated yet. */
  readonly #requests = new Map<number, IncomingMessage>()
  #conns = 0

  /** @param maxBytes of a window */
  constructor(owner: ConnectionsOwner, alarms: Alarms, maxBytes: number, watch: ConnectionWatch) {
    this.#watch = watch
    this.#owner = owner
    this.#alarms = alarms
    this.#maxBufferedBytes = BUFFERED_WINDOWS * maxBytes + BUFFERED_BYTES
  }

  get size(): number {
    return this.#sockets.size
  }

  /** A WebSocket has opened that speaks guru.v1. */
  add(socket: WebSocket, tcp: Duplex, request: IncomingMessage): void {
    this.#conns += 1
    const conn = this.#conns
    const address = this.#watch.addressOf(request)
    this.#sockets.set(
      conn,
      new SessionSocket(conn, socket, tcp, this.#maxBufferedBytes, this, this.#watch, address),
    )
    this.#requests.set(conn, request)
    const now = this.#owner.now()
    this.#owner.arrived(conn, now)
    const deadline = now + FIRST_FRAME_MS
    if (deadline < this.alarmAt) this.#alarms.set(this, deadline)
  }

  get(conn: number): SessionSocket | undefined {
    return this.#sockets.get(conn)
  }

  /** The request that a connection came with, once. */
  takeRequest(conn: number): IncomingMessage | undefined {
    const request = this.#requests.get(conn)
    this.#requests.delete(conn)
    return request
  }

  hangUp(conn: number, code: number, reason: string): void {
    const socket = this.#forget(conn)
    socket?.end(code, reason)
  }

  hangUpAll(code: number, reason: string): void {
    for (const conn of [...this.#sockets.keys()]) this.hangUp(conn, code, reason)
  }

  // What sockets bring.

  frame(socket: SessionSocket, frame: Frame): void {
    this.#owner.first(socket.conn, frame, this.#owner.now())
    socket.update()
  }

  isBusy(socket: SessionSocket): boolean {
    return this.#owner.isBusy(socket.conn)
  }

  closed(socket: SessionSocket, code: number): void {
    if (this.#forget(socket.conn)) this.#owner.connectionGone(socket.conn, code, this.#owner.now())
  }

  wake(now: number): void {
    this.#alarms.set(this, this.#owner.wakeConnections(now))
  }

  #forget(conn: number): SessionSocket | undefined {
    const socket = this.#sockets.get(conn)
    this.#sockets.delete(conn)
    this.#requests.delete(conn)
    return socket
  }
}
