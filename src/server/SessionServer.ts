// Lossless sessions (guru.v1, PROTOCOL.md) for any server on `node:http` or `ws`: lets connections in, shows sessions to the
// app, leaves in order.

/// <reference lib="esnext.disposable" preserve="true" />

import type { IncomingMessage, Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { Emitter } from '../core/emitter.ts'
import { CommsError } from '../core/errors.ts'
import { checkOption, checkOptions, delay, optionError, type Rule } from '../core/options.ts'
import { sleep } from '../core/sleep.ts'
import { CLOSE } from '../session/closeCodes.ts'
import { listeningAddress, refusal } from './access.ts'
import {
  carrierOptions,
  isWebSocketServer,
  offersSession,
  SUBPROTOCOL,
  type WebSocketServerLike,
} from './carrier.ts'
import { ConnectionSlots, fullRefusal } from './connectionSlots.ts'
import { callNow } from './guard.ts'
import { pathOf } from './httpRoutes.ts'
import { encodeMessage } from './payload.ts'
import { type Refusal, RefusalLog } from './refusals.ts'
import { refuseUpgrade } from './refuseUpgrade.ts'
import type { Session, SessionMessageTypes, SessionReceipt } from './Session.ts'
import { SessionSender } from './SessionSender.ts'
import type { SessionCounts } from './sessionCounts.ts'
import { SessionHub } from './sessionHub.ts'
import {
  type AttachOptions,
  checkAttachOptions,
  checkDrainOptions,
  checkSendOptions,
  type DrainOptions,
  type ResolvedSessionServerOptions,
  resolveSessionServerOptions,
  type SessionSendOptions,
  type SessionServerOptions,
} from './sessionServerOptions.ts'

export interface SessionServerEvents<T extends SessionMessageTypes = SessionMessageTypes> {
  /** A session was opened, or taken up from the store. */
  session: [session: Session<T>]
  /** Something failed: the store, `authenticate`, or what no listener of `session` heard. */
  error: [error: unknown, session: Session<T> | undefined]
}

/** What a session server tells of itself; messages are counted since it was made. */
export interface SessionServerStats extends SessionCounts {
  /** Sessions that live, with or without a connection. */
  sessions: number
  /** Connections that are open, those included that have no session yet. */
  connections: number
  /** Payload bytes kept for clients. */
  queuedBytes: number
}

/** For an answered close frame. */
const GOODBYE_MS = 500
/** So many connections at a time are told 4429; more are refused in HTTP, which costs less. */
const MAX_REFUSING = 100
const POLICY = 1008
const serverRule: Rule = {
  expected: 'a server of node:http, node:https or ws',
  accepts: (value) => typeof (value as Server | undefined)?.on === 'function',
}

/**
 * @typeParam T the messages of the app: what comes `in`, what goes `out`
 */
export class SessionServer<T extends SessionMessageTypes = SessionMessageTypes> extends Emitter<
  SessionServerEvents<T>
> {
  readonly #options: ResolvedSessionServerOptions
  readonly #hub: SessionHub
  readonly #slots: ConnectionSlots
  readonly #webSockets: WebSocketServer
  readonly #listeners: ((session: Session<T>) => void)[] = []
  readonly #detach: (() => void)[] = []
  /** Connections, and the addresses they count for. */
  readonly #open = new Map<WebSocket, string>()
  readonly #onUpgraded = (socket: WebSocket, request: IncomingMessage) => this.#arrived(socket, request)
  readonly #onClosed: (this: WebSocket) => void
  /** The latest message that was posted to a session from here and whose fate is not known. */
  readonly #posting = new Map<string, SessionReceipt>()
  readonly #refusals: RefusalLog
  #sender: SessionSender | undefined
  #refusing = 0
  #leaving = false
  #closing: Promise<void> | undefined

  /** @throws TypeError or RangeError naming the option */
  constructor(options: SessionServerOptions = {}) {
    super()
    const resolved = resolveSessionServerOptions(options)
    this.#options = resolved
    this.#refusals = new RefusalLog(resolved.logger, resolved.clock)
    this.#slots = new ConnectionSlots(resolved.maxConnections, resolved.maxConnectionsPerAddress)
    this.#hub = new SessionHub(resolved, {
      onSession: (session) => this.#onSession(session as Session<T>),
      onError: (error, session) => this.#onError(error, session as Session<T> | undefined),
    })
    // One function for all: with ten thousand connections it tells.
    const open = this.#open
    const slots = this.#slots
    this.#onClosed = function (this: WebSocket) {
      slots.leave(open.get(this) ?? '')
      open.delete(this)
    }
    this.#webSockets = new WebSocketServer(carrierOptions(resolved.maxFrame))
  }

  /** The sessions that live, by their id. */
  get sessions(): ReadonlyMap<string, Session<T>> {
    return this.#hub.known as ReadonlyMap<string, unknown> as ReadonlyMap<string, Session<T>>
  }

  /** Resolves when the sessions in the store have been taken up; rejects with CommsError `STORAGE`. */
  get restored(): Promise<void> {
    return this.#hub.restored
  }

  /**
   * Calls `listener` with every session: those in the store, once after the first `onSession`, and each that is opened. It has to
   * set handlers before it returns. One that throws ends the session.
   */
  onSession(listener: (session: Session<T>) => void): this {
    if (typeof listener !== 'function') {
      throw optionError('SessionServer.onSession', 'listener', 'must be a function', listener)
    }
    this.#listeners.push(listener)
    this.#hub.start()
    return this
  }

  /**
   * Takes the upgrades of a server: of `node:http` or `node:https` those of one path (`/ws`), or all connections of a
   * WebSocketServer of `ws` that have selected guru.v1.
   * @throws CommsError `UNSUPPORTED` without a listener of `onSession`, TypeError for what is no server, or a WebSocketServer that
   * compresses
   */
  attach(server: Server | SecureServer | WebSocketServerLike, options: AttachOptions = {}): this {
    checkOption('SessionServer.attach', 'server', server, serverRule)
    checkAttachOptions(options)
    if (this.#listeners.length === 0) {
      throw new CommsError(
        'attach: call onSession first; messages of a session that nobody sees would be lost',
        {
          code: 'UNSUPPORTED',
        },
      )
    }
    if (isWebSocketServer(server)) this.#attachWebSockets(server)
    else this.#attachHttp(server, options.path ?? '/ws')
    return this
  }

  /** Takes one upgrade, whatever its path, or answers why not. For servers that route upgrades themselves. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // One that breaks while it is looked at must not throw.
    socket.on('error', destroy)
    const { plain, addressOf } = this.#options
    const offered = offersSession(request)
    if (!offered && plain) {
      plain(request, socket, head)
      return
    }
    const refused = this.#refusalOf(request, offered)
    if (refused) {
      this.#refusals.tell(refused, request)
      refuseUpgrade(socket, refused.status, refused.reason)
      return
    }
    const address = addressOf(request)
    const full = this.#slots.enter(address)
    if (full) {
      this.#refusals.tell(fullRefusal(full), request)
      this.#refuse(request, socket, head, full)
      return
    }
    const open = this.#open.size
    this.#webSockets.handleUpgrade(request, socket, head, this.#onUpgraded)
    // Not taken: a broken handshake, already answered.
    if (this.#open.size === open) this.#slots.leave(address)
  }

  /**
   * Sends to every session; JSON is made once. One whose queue is full (`overflow: 'reject'`) is left out.
   * @returns how many sessions took it
   * @throws CommsError `BAD_REQUEST`, as `session.send`
   */
  broadcast(data: T['out'], options: SessionSendOptions = {}): number {
    checkSendOptions(options)
    return this.#hub.broadcast(encodeMessage(data), options)
  }

  /**
   * Sends to one session, which may be here or, with a store that several processes share, anywhere: see `SessionSender`.
   * @throws as `session.send`; CommsError `UNSUPPORTED` when it is not here and the store is not shared
   */
  sendTo(sid: string, data: T['out'], options: SessionSendOptions = {}): SessionReceipt {
    const session = this.#hub.known.get(sid)
    // What was posted before goes first.
    if (session && !session.over && !this.#posting.has(sid)) return session.send(data, options)
    const receipt = this.#needSender('sendTo').send(sid, data, options)
    this.#posting.set(sid, receipt)
    const done = () => {
      if (this.#posting.get(sid) === receipt) this.#posting.delete(sid)
    }
    receipt.delivered.then(done, done)
    return receipt
  }

  /**
   * Sends to every session of every process that shares the store.
   * @returns how many took it
   * @throws as `broadcast`; rejects with CommsError `UNSUPPORTED` when the store is not shared, `STORAGE` when it fails
   */
  async broadcastToAll(data: T['out'], options: SessionSendOptions = {}): Promise<number> {
    return this.#needSender('broadcastToAll').broadcast(data, options)
  }

  /**
   * Asks every client to leave, and to resume elsewhere, at a random moment within `spreadMs` (default 10000); until
   * then all goes on. Nobody new is let in. Resolves when all have gone, or a second after `spreadMs`.
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    checkDrainOptions(options)
    const { spreadMs = 10_000, why = 'going away' } = options
    this.#leaving = true
    this.#hub.sendAllAway(spreadMs, why)
    await this.#until(() => this.#hub.connections.size === 0, spreadMs + 1000)
  }

  /** Cuts every connection without a close frame, as a broken network would; the sessions stay. For tests of your own. */
  cut(): void {
    for (const socket of this.#open.keys()) socket.terminate()
  }

  /**
   * Lets nobody in any more, waits up to `graceMs` (default 2000) until all is handled, acknowledged and recorded, and
   * ends every connection with 1001. Sessions in a store live on; without a store they end, as `lost` with the reason
   * `shutdown`. The HTTP server and the store stay open: they are yours. A second call waits for the first.
   */
  close(options: { graceMs?: number | undefined } = {}): Promise<void> {
    checkOptions('close', options, { graceMs: delay })
    this.#closing ??= this.#close(options.graceMs ?? 2000)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  getStats(): SessionServerStats {
    return {
      sessions: this.#hub.known.size,
      connections: this.#hub.connections.size,
      queuedBytes: this.#hub.keptBytes,
      ...this.#hub.counts,
    }
  }

  #needSender(what: string): SessionSender {
    const { store, clock } = this.#options
    if (!store?.shared) {
      throw new CommsError(`${what}: only a store that several processes share knows of sessions elsewhere`, {
        code: 'UNSUPPORTED',
      })
    }
    this.#sender ??= new SessionSender({ store, clock })
    return this.#sender
  }

  async #close(graceMs: number): Promise<void> {
    this.#leaving = true
    await this.#until(() => this.#hub.isIdle, graceMs)
    this.#hub.end()
    this.#sender?.close()
    for (const detach of this.#detach) detach()
    if (this.#open.size > 0) {
      const gone = Promise.all(
        [...this.#open.keys()].map((socket) => new Promise((done) => socket.once('close', done))),
      )
      await this.#race(gone, GOODBYE_MS)
      for (const socket of this.#open.keys()) socket.terminate()
    }
  }

  async #until(test: () => boolean, ms: number): Promise<void> {
    const { promise, stop } = this.#hub.whenRested(test)
    await this.#race(promise, ms)
    stop()
  }

  async #race(promise: Promise<unknown>, ms: number): Promise<void> {
    const over = new AbortController()
    const waited = sleep(this.#options.clock, ms, over.signal, () => undefined).catch(() => {})
    await Promise.race([promise, waited])
    over.abort()
  }

  #attachHttp(server: Server | SecureServer, path: string): void {
    const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (pathOf(request) === path) this.handleUpgrade(request, socket, head)
      // Others may know what to do with it.
      else if (server.listenerCount('upgrade') === 1) {
        socket.on('error', destroy)
        refuseUpgrade(socket, 404, 'there is nothing here')
      }
    }
    server.on('upgrade', onUpgrade)
    this.#detach.push(() => server.off('upgrade', onUpgrade))
  }

  #attachWebSockets(server: WebSocketServerLike): void {
    if (server.options.perMessageDeflate) {
      throw new TypeError(
        'attach: the WebSocketServer must have perMessageDeflate off: it would tell about keys',
      )
    }
    const onConnection = (socket: WebSocket, request: IncomingMessage) => {
      if (socket.protocol !== SUBPROTOCOL) return
      socket.on('error', ignore)
      const refused = this.#refusalOf(request, true)
      if (refused) {
        this.#refusals.tell(refused, request)
        if (refused.status === 503) socket.close(CLOSE.goingAway, 'the server is going away')
        else socket.close(POLICY, refused.reason)
        return
      }
      const address = this.#options.addressOf(request)
      const full = this.#slots.enter(address)
      if (full) {
        this.#refusals.tell(fullRefusal(full), request)
        socket.close(CLOSE.tooMany, full)
        return
      }
      this.#arrived(socket, request)
    }
    server.on('connection', onConnection as never)
    this.#detach.push(() => server.off('connection', onConnection as never))
  }

  /** Why not, and the HTTP status that says so; `undefined` when it may pass. */
  #refusalOf(request: IncomingMessage, offered: boolean): (Refusal & { status: number }) | undefined {
    const { allowedHosts, allowedOrigins } = this.#options
    if (this.#leaving) return { status: 503, reason: 'the server is going away', option: 'graceMs' }
    if (this.#listeners.length === 0)
      return { status: 503, reason: 'nobody listens for sessions yet', option: 'onSession' }
    const rules = { host: listeningAddress(request), allowedHosts, allowedOrigins }
    const refused = refusal(request, rules)
    if (refused) return { status: 403, ...refused }
    if (offered) return undefined
    const came = request.headers['sec-websocket-protocol'] ?? 'no subprotocol'
    return {
      status: 400,
      reason: `only the subprotocol ${SUBPROTOCOL} is spoken here`,
      option: 'plain',
      came,
    }
  }

  #arrived(socket: WebSocket, request: IncomingMessage): void {
    this.#open.set(socket, this.#options.addressOf(request))
    socket.once('close', this.#onClosed)
    this.#hub.add(socket, request.socket, request)
  }

  /** There is no place for it. In a browser only a close code can say so. */
  #refuse(request: IncomingMessage, socket: Duplex, head: Buffer, why: string): void {
    if (this.#refusing >= MAX_REFUSING) {
      refuseUpgrade(socket, 503, why)
      return
    }
    this.#refusing += 1
    socket.once('close', () => {
      this.#refusing -= 1
    })
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', ignore)
      webSocket.close(CLOSE.tooMany, why)
    })
  }

  protected override onListenerError(error: unknown, name: string): void {
    if (name === 'error') super.onListenerError(error, name)
    else this.#onError(error, undefined)
  }

  #onSession(session: Session<T>): void {
    for (const listener of this.#listeners) {
      const called = callNow(
        () => listener(session),
        (error) => this.#onError(error, session),
      )
      if (!called.ok) throw called.error
    }
    this.emit('session', session)
  }

  #onError(error: unknown, session: Session<T> | undefined): void {
    if (!this.emit('error', error, session)) this.#options.logger?.error('a session server:', error)
  }
}

function destroy(this: Duplex): void {
  this.destroy()
}

function ignore(): void {}
