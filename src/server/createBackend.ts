// The reference backend: an HTTP API and a WebSocket to an assistant, on node:http and `ws`.

/// <reference lib="esnext.disposable" preserve="true" />

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { checkOptions, delay } from '../core/options.ts'
import { systemRandom } from '../core/random.ts'
import { sleep } from '../core/sleep.ts'
import type { LogRoutes } from '../replies/durableStreams/LogRoutes.ts'
import { repliesRoutes } from '../replies/durableStreams/RepliesRoutes.ts'
import { isLoopbackAddress, refusal } from './access.ts'
import { Authenticator } from './authenticator.ts'
import { holdBody } from './bodyHolder.ts'
import { ConnectionSlots, fullRefusal } from './connectionSlots.ts'
import { DurableAnswers } from './DurableAnswers.ts'
import { Faults } from './faults.ts'
import { call } from './guard.ts'
import { HttpRefusals } from './HttpRefusals.ts'
import { allowOrigin, answerPreflight, answerRoute, pathOf, sendJson } from './httpRoutes.ts'
import { MemoryBudget } from './MemoryBudget.ts'
import {
  type BackendOptions,
  type Principal,
  type ResolvedBackendOptions,
  resolveBackendOptions,
} from './options.ts'
import { HttpRefusal, readJson } from './readJson.ts'
import { SettingsStore } from './SettingsStore.ts'
import { UserSockets } from './UserSockets.ts'

/** What a backend tells of itself. */
export interface BackendStats {
  /** WebSockets that are open, plain ones and those of sessions. */
  connections: number
  /** Answers being given or waiting. */
  replies: number
  /** Bytes of audio heard on the connections and sessions of now. */
  audioBytes: number
}

const FAULTS_PATH = '/__faults'
const MAX_FAULTS_BYTES = 1000
/** For an answered close frame, after the answers have had their time. */
const GOODBYE_MS = 500
/** Sockets per permitted WebSocket: room for HTTP, and for saying why one more is not let in. */
const SOCKETS_PER_CONNECTION = 2

/** A backend that listens. */
export class Backend {
  /** The port it listens on. */
  readonly port: number
  /** Its address, for clients on this machine. */
  readonly url: string
  readonly #server: Server
  readonly #options: ResolvedBackendOptions
  readonly #settings: SettingsStore
  readonly #authenticator: Authenticator
  readonly #faults: Faults
  readonly #refusals: HttpRefusals
  readonly #budget: MemoryBudget
  readonly #users: UserSockets
  readonly #sockets = new Set<Socket>()
  readonly #slots: ConnectionSlots
  readonly #replies: LogRoutes | undefined
  readonly #answers: DurableAnswers | undefined
  #closing: Promise<void> | undefined

  /** Use `createBackend`. `server` listens already. */
  constructor(server: Server, options: ResolvedBackendOptions) {
    this.#server = server
    this.#options = options
    this.#settings = new SettingsStore(options.settingsFile, options.maxBodyBytes, options.logger)
    this.#authenticator = new Authenticator(options)
    this.#faults = new Faults(options.clock, systemRandom)
    this.#refusals = new HttpRefusals(options.logger, options.clock)
    const option = 'maxTotalBufferedBytes'
    this.#budget = new MemoryBudget(options.maxTotalBufferedBytes, ({ owner }, bytes) =>
      this.#refusals.tell({ reason: `${bytes} bytes held for it are given up`, option, came: owner }),
    )
    const { replies, responder, logger } = options
    this.#answers = replies && new DurableAnswers(replies, responder, logger)
    this.#users = new UserSockets(
      options,
      this.#authenticator,
      this.#faults,
      this.#refusals,
      this.#budget,
      this.#answers,
    )
    this.#slots = new ConnectionSlots(
      options.maxConnections * SOCKETS_PER_CONNECTION,
      options.maxConnectionsPerAddress * SOCKETS_PER_CONNECTION,
    )
    this.#replies = options.replies && repliesRoutes(options.replies)
    this.port = (server.address() as AddressInfo).port
    this.url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${this.port}`
    server.on('connection', (socket) => this.#onConnection(socket))
    server.on('request', (request, response) => void this.#onRequest(request, response))
    server.on('upgrade', (request, socket, head) => void this.#users.onUpgrade(request, socket, head))
    // What goes wrong while accepting (no file descriptors left) must not end the process.
    server.on('error', (error) => options.logger?.error('the server:', error))
  }

  getStats(): BackendStats {
    const users = [...this.#users]
    return {
      connections: this.#users.connections,
      replies: users.reduce((sum, { conversation }) => sum + conversation.pending, 0),
      audioBytes: users.reduce((sum, { audioBytes }) => sum + audioBytes, 0),
    }
  }

  /** Cuts every WebSocket without a close frame, as a broken line would. */
  cut(): void {
    this.#users.cut()
  }

  /**
   * Stops listening, lets answers and requests end for `graceMs` milliseconds (default 2000), says goodbye (1001), and half a
   * second later ends what is left. A second call waits for the first.
   */
  close(options: { graceMs?: number | undefined } = {}): Promise<void> {
    checkOptions('close', options, { graceMs: delay })
    this.#closing ??= this.#close(options.graceMs ?? 2000)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(graceMs: number): Promise<void> {
    const { clock } = this.#options
    const over = new AbortController()
    const wait = (ms: number) => sleep(clock, ms, over.signal, () => undefined).catch(() => {})
    // Resolves when the last socket has gone, WebSockets included.
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#users.leave()
    await Promise.race([stopped, wait(graceMs)])
    this.#users.endAnswers()
    await Promise.race([stopped, wait(GOODBYE_MS)])
    for (const socket of this.#sockets) socket.destroy()
    await stopped
    over.abort()
  }

  #onConnection(socket: Socket): void {
    const address = socket.remoteAddress ?? ''
    const full = this.#slots.enter(address)
    if (full) {
      this.#refusals.tell(fullRefusal(full), { socket })
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#slots.leave(address)
    })
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const options = this.#options
    // Such as a write of `onRequest` after its end: unheard, it would be the end of the process.
    response.on('error', (error) => options.logger?.error('a response:', error))
    // Kept alive, a connection would hold up the shutdown.
    response.once('close', () => {
      if (this.#closing) this.#server.closeIdleConnections()
    })
    holdBody(request, response, {
      budget: this.#budget,
      maxBytes: options.maxBodyBytes,
      refuse: () =>
        this.#fail(request, response, new HttpRefusal(503, 'too much is under way: come back later')),
    })
    try {
      if (options.faults && pathOf(request) === FAULTS_PATH) {
        await this.#onFaults(request, response)
        return
      }
      if (this.#faults.refusing) {
        request.socket.destroy()
        return
      }
      await this.#faults.delay()
      const refused = refusal(request, options)
      if (refused) throw new HttpRefusal(403, refused.reason, refused.option, refused.came)
      allowOrigin(request, response, options)
      const isReply = this.#replies?.serves(pathOf(request)) ?? false
      if (isReply) this.#replies?.allowMethods(response)
      if (answerPreflight(request, response)) return
      if (this.#faults.failsNow()) throw new HttpRefusal(503, 'a fault on demand')
      const answered = await answerRoute(
        {
          settings: this.#settings,
          models: options.models,
          maxBodyBytes: options.maxBodyBytes,
          authenticate: (asked) => this.#authenticator.authenticate(asked),
          stop: (principal, id) => this.#stop(principal, id),
          closing: this.#closing !== undefined,
          isReady: () => this.#isReady(),
        },
        request,
        response,
      )
      if (answered) return
      if (isReply) {
        const principal = await this.#authenticator.authenticate(request)
        await this.#replies?.answer(request, response, principal ?? '')
        return
      }
      if (options.onRequest) {
        await this.#authenticator.authenticate(request)
        const called = await call(() => options.onRequest?.(request, response))
        if (!called.ok) {
          options.logger?.error(`onRequest failed at ${request.method} ${pathOf(request)}:`, called.error)
          throw new HttpRefusal(500, 'internal error')
        }
        // Whatever it says: what has an answer needs no other.
        if (called.value === true || response.headersSent) return
      }
      throw new HttpRefusal(404, 'there is nothing here')
    } catch (error) {
      this.#fail(request, response, error)
    }
  }

  async #isReady(): Promise<boolean> {
    const { isReady, store, logger } = this.#options
    if (store?.isReady?.() === false) return false
    if (!isReady) return true
    const called = await call(() => isReady())
    if (!called.ok) logger?.error('isReady failed:', called.error)
    return called.ok && called.value !== false
  }

  /** Stops answers of a user: those being given here, and the one of this id wherever it is given. */
  async #stop(principal: Principal | undefined, id: string | undefined): Promise<number> {
    const stopped = this.#users.stop(principal, id)
    if (stopped > 0 || id === undefined || !this.#answers) return stopped
    return (await this.#answers.stop(id, principal)) ? 1 : 0
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    // Given up before, with an answer of its own.
    if (response.writableEnded) return
    const refused = error instanceof HttpRefusal
    if (refused) this.#refusals.tellHttp(error, request)
    else this.#options.logger?.error(`${request.method} ${pathOf(request)} failed:`, error)
    if (response.headersSent) {
      response.destroy()
      return
    }
    sendJson(response, refused ? error.status : 500, { error: refused ? error.message : 'internal error' })
  }

  async #onFaults(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isLoopbackAddress(request.socket.remoteAddress)) throw new HttpRefusal(403, 'only from this machine')
    const refused = refusal(request, this.#options)
    if (refused) throw new HttpRefusal(403, refused.reason, refused.option, refused.came)
    allowOrigin(request, response, this.#options)
    if (request.method === 'POST' && this.#faults.set(await readJson(request, MAX_FAULTS_BYTES))) this.cut()
    sendJson(response, 200, this.#faults.state)
  }
}

/**
 * Starts a backend; resolves when it listens.
 * @throws TypeError or RangeError naming the option; the error of `listen` (such as `EADDRINUSE`)
 */
export async function createBackend(options: BackendOptions = {}): Promise<Backend> {
  const resolved = resolveBackendOptions(options)
  const server = createServer({
    requestTimeout: resolved.requestTimeout,
    headersTimeout: resolved.requestTimeout,
    connectionsCheckingInterval: Math.max(500, Math.min(10_000, resolved.requestTimeout / 2)),
    maxHeaderSize: 16 * 1024,
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(resolved.port, resolved.host, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
  return new Backend(server, resolved)
}
