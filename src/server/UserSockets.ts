// The lines of all users, plain WebSockets and sessions of guru.v1: who is let in, who is still there, who has to go.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import type { TimerHandle } from '../core/clock.ts'
import { windowDefaults } from '../session/limits.ts'
import { refusal } from './access.ts'
import type { Authenticator } from './authenticator.ts'
import { CLOSE_TIMEOUT, carrierOptions, MAX_FRAGMENTS, offersSession } from './carrier.ts'
import { ConnectionSlots, fullRefusal } from './connectionSlots.ts'
import type { DurableAnswers } from './DurableAnswers.ts'
import { FairReads } from './FairReads.ts'
import type { Faults } from './faults.ts'
import type { HttpRefusals } from './HttpRefusals.ts'
import { pathOf } from './httpRoutes.ts'
import type { MemoryBudget } from './MemoryBudget.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import { HttpRefusal } from './readJson.ts'
import { refuseUpgrade } from './refuseUpgrade.ts'
import { SessionServer } from './SessionServer.ts'
import { slowSockets } from './slowSocket.ts'
import { UserSession } from './UserSession.ts'
import { type UserContext, UserSocket } from './UserSocket.ts'

const SOCKET_PATH = '/ws'
/** A session takes no more in one piece. */
const MAX_FRAME = 2 ** 30
const SESSIONS_PER_CONNECTION = 2
/** For acknowledgements on their way, which are sent after 200 ms at the latest. */
const SESSION_GOODBYE_MS = 400

export class UserSockets {
  readonly #options: ResolvedBackendOptions
  readonly #context: UserContext
  readonly #authenticator: Authenticator
  readonly #faults: Faults
  readonly #refusals: HttpRefusals
  readonly #reads = new FairReads()
  /** Of plain WebSockets, and of those that carry sessions. */
  readonly #server: WebSocketServer
  readonly #carrier: WebSocketServer
  readonly #slots: ConnectionSlots
  readonly #users = new Set<UserSocket>()
  readonly #sessions: SessionServer
  readonly #userSessions = new Set<UserSession>()
  #heartbeat: TimerHandle | undefined
  #closing = false

  constructor(
    options: ResolvedBackendOptions,
    authenticator: Authenticator,
    faults: Faults,
    refusals: HttpRefusals,
    budget: MemoryBudget,
    answers: DurableAnswers | undefined,
  ) {
    this.#refusals = refusals
    this.#options = options
    this.#context = { options, answers, budget }
    this.#authenticator = authenticator
    this.#faults = faults
    this.#slots = new ConnectionSlots(options.maxConnections, options.maxConnectionsPerAddress)
    const WebSocketClass = options.faults ? slowSockets(faults) : WebSocket
    this.#server = new WebSocketServer({
      WebSocket: WebSocketClass,
      noServer: true,
      clientTracking: false,
      maxPayload: options.maxPayload,
      autoPong: false,
      maxFragments: MAX_FRAGMENTS,
      ...CLOSE_TIMEOUT,
      // Compression saves little on short deltas and costs memory per connection; bombs need it.
      perMessageDeflate: false,
      // Left alone, `ws` would promise whatever protocol is offered first.
      handleProtocols: () => false,
    })
    const maxFrame = Math.min(options.maxPayload, MAX_FRAME)
    this.#carrier = new WebSocketServer({ WebSocket: WebSocketClass, ...carrierOptions(maxFrame) })
    this.#sessions = this.#makeSessions(maxFrame).attach(this.#carrier)
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#users.size + this.#sessions.getStats().connections
  }

  /** Who is talked to; with a session also while its connection is away. */
  *[Symbol.iterator](): IterableIterator<UserSocket | UserSession> {
    yield* this.#users
    yield* this.#userSessions
  }

  /** Takes an upgrade, or answers why not. */
  async onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // A socket that breaks while we look at it must not throw.
    socket.on('error', () => socket.destroy())
    try {
      if (this.#faults.refusing) {
        socket.destroy()
        return
      }
      await this.#faults.delay()
      this.#admit(request)
      this.#takeSlot(request.socket.remoteAddress ?? '', socket)
      if (offersSession(request)) {
        // Who it is, is asked with its first frame.
        this.#carrier.handleUpgrade(request, socket, head, (webSocket) =>
          this.#carrier.emit('connection', webSocket, request),
        )
        return
      }
      const principal = await this.#authenticator.authenticate(request)
      if (this.#closing) throw new HttpRefusal(503, 'closing')
      this.#server.handleUpgrade(request, socket, head, (webSocket) => {
        const user = new UserSocket(webSocket, request.socket, principal, this.#context)
        this.#users.add(user)
        const source = { tcp: request.socket, isHeld: () => webSocket.isPaused }
        this.#reads.add(source, request.socket.remoteAddress ?? '')
        webSocket.on('close', () => this.#users.delete(user))
        this.#keepHeartbeat()
      })
    } catch (error) {
      if (error instanceof HttpRefusal) {
        this.#refusals.tellHttp(error, request)
        refuseUpgrade(socket, error.status, error.message)
        return
      }
      this.#options.logger?.error('the upgrade failed:', error)
      refuseUpgrade(socket, 500, 'internal error')
    }
  }

  /** Stops answers of a user: one, or all of them. Returns how many. */
  stop(principal: Principal | undefined, id: string | undefined): number {
    let stopped = 0
    for (const user of this) {
      if (user.principal === principal) stopped += user.conversation.stop(id)
    }
    return stopped
  }

  /** Cuts every line without a close frame, as a broken network would. */
  cut(): void {
    for (const user of this.#users) user.cut()
    this.#sessions.cut()
  }

  /** Nobody is let in any more; answers that run may end, then goodbye to each. */
  leave(): void {
    this.#closing = true
    this.#options.clock.clearTimeout(this.#heartbeat)
    for (const user of this.#users) void user.leave()
    void this.#leaveSessions()
  }

  /** The answers that still run end now. */
  endAnswers(): void {
    for (const user of this) user.endAnswers()
  }

  #makeSessions(maxFrame: number): SessionServer {
    const options = this.#options
    const { authenticate, maxConnections, maxConnectionsPerAddress, clock, logger } = options
    const sessions = new SessionServer({
      ...(authenticate && {
        authenticate: (request, auth) => this.#authenticator.authenticateSession(request, auth),
        authenticateTimeout: options.authenticateTimeout,
      }),
      // A question is not settled before its answer has ended, and how long that takes is `answerTimeout`'s affair. Another
      // process that asks for the session answers anew: there is nothing to wait for.
      ...(options.store && { store: options.store, handlerTimeout: Infinity, handoverTimeout: 0 }),
      allowedOrigins: options.allowedOrigins,
      ...(options.allowedHosts && { allowedHosts: options.allowedHosts }),
      maxFrame,
      maxBytes: Math.max(maxFrame, windowDefaults.maxBytes),
      maxQueueBytes: options.maxQueuedBytes,
      maxTotalBufferedBytes: options.maxTotalBufferedBytes,
      controlsPerSecond: options.messagesPerSecond,
      maxConnections,
      maxConnectionsPerAddress,
      // They outlive their connections.
      maxSessions: SESSIONS_PER_CONNECTION * maxConnections,
      maxSessionsPerPrincipal: SESSIONS_PER_CONNECTION * maxConnectionsPerAddress,
      pingInterval: options.pingInterval,
      clock,
      ...(logger && { logger }),
    })
    return sessions.onSession((session) => {
      const user = new UserSession(session, authenticate && session.principal, this.#context)
      this.#userSessions.add(user)
      const forget = () => this.#userSessions.delete(user)
      session.on('closed', forget)
      session.on('lost', forget)
    })
  }

  /** Running answers may end; then all that was said is acknowledged, or nobody listens. */
  async #leaveSessions(): Promise<void> {
    await Promise.all([...this.#userSessions].map(({ conversation }) => conversation.finish()))
    await this.#sessions.close({ graceMs: SESSION_GOODBYE_MS })
  }

  /** @throws HttpRefusal */
  #admit(request: IncomingMessage): void {
    if (this.#closing) throw new HttpRefusal(503, 'closing')
    if (pathOf(request) !== SOCKET_PATH) throw new HttpRefusal(404, 'there is nothing here')
    const refused = refusal(request, this.#options)
    if (refused) throw new HttpRefusal(403, refused.reason, refused.option, refused.came)
  }

  /** Taken before the user is looked up, so that slow look-ups count, too. @throws HttpRefusal */
  #takeSlot(address: string, socket: Duplex): void {
    const refused = this.#slots.enter(address)
    if (refused) {
      const status = refused === 'too many connections' ? 503 : 429
      throw new HttpRefusal(status, refused, fullRefusal(refused).option)
    }
    socket.once('close', () => this.#slots.leave(address))
  }

  /** One timer for all lines, while there are any. */
  #keepHeartbeat(): void {
    const { clock, pingInterval } = this.#options
    if (this.#heartbeat !== undefined || pingInterval === Number.POSITIVE_INFINITY) return
    this.#heartbeat = clock.setTimeout(
      () => {
        this.#heartbeat = undefined
        for (const user of this.#users) user.probe()
        if (this.#users.size > 0 && !this.#closing) this.#keepHeartbeat()
      },
      pingInterval,
      true,
    )
  }
}
