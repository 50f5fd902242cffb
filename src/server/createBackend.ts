// The reference backend: an HTTP API and a WebSocket to an assistant, on node:http and `ws`.

import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { checkOptions, delay } from '../core/options.ts'
import { systemRandom } from '../core/random.ts'
import { sleep } from '../core/sleep.ts'
import { isLoopbackAddress, refusal } from './access.ts'
import { Faults } from './faults.ts'
import { allowOrigin, answerRoute, pathOf, sendJson } from './httpRoutes.ts'
import {
  type BackendOptions,
  type Principal,
  type ResolvedBackendOptions,
  resolveBackendOptions,
} from './options.ts'
import { HttpRefusal, readJson } from './readJson.ts'
import { SettingsStore } from './SettingsStore.ts'
import { UserSocket } from './UserSocket.ts'

/** What a backend tells of itself. */
export interface BackendStats {
  connections: number
  /** Answers being given or waiting. */
  replies: number
  /** Bytes of audio heard on the connections of now. */
  audioBytes: number
}

const FAULTS_PATH = '/__faults'
const SOCKET_PATH = '/ws'

/** A backend that listens. */
export class Backend {
  /** The port it listens on. */
  readonly port: number
  /** Its address, for clients on this machine. */
  readonly url: string
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #options: ResolvedBackendOptions
  readonly #settings: SettingsStore
  readonly #users = new Map<UserSocket, string>()
  readonly #faults: Faults
  #closing: Promise<void> | undefined

  /** Use `createBackend`. `server` listens already. */
  constructor(server: Server, options: ResolvedBackendOptions) {
    this.#server = server
    this.#options = options
    this.#settings = new SettingsStore(options.settingsFile, options.logger)
    this.#faults = new Faults(options.clock, systemRandom)
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: options.maxPayload,
      // Compression saves little on short deltas and costs memory per connection; bombs need it.
      perMessageDeflate: false,
    })
    this.port = (server.address() as AddressInfo).port
    this.url = `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${this.port}`
    server.on('request', (request, response) => void this.#onRequest(request, response))
    server.on('upgrade', (request, socket, head) => void this.#onUpgrade(request, socket, head))
  }

  getStats(): BackendStats {
    const users = [...this.#users.keys()]
    return {
      connections: users.length,
      replies: users.filter(({ conversation }) => conversation.busy).length,
      audioBytes: users.reduce((sum, { audioBytes }) => sum + audioBytes, 0),
    }
  }

  /** Cuts every WebSocket without a close frame, as a broken line would. */
  cut(): void {
    for (const user of this.#users.keys()) user.cut()
  }

  /**
   * Stops listening, lets running answers end for `graceMs` milliseconds (default 2000), says goodbye (1001), and then ends
   * what is left. A second call waits for the first.
   */
  close(options: { graceMs?: number } = {}): Promise<void> {
    checkOptions('close', options, { graceMs: delay })
    this.#closing ??= this.#close(options.graceMs ?? 2000)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(graceMs: number): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const over = new AbortController()
    const grace = sleep(this.#options.clock, graceMs, over.signal, () => undefined).catch(() => {})
    const leaving = Promise.all([...this.#users.keys()].map((user) => user.leave()))
    await Promise.race([leaving, grace])
    for (const user of this.#users.keys()) user.conversation.end()
    // A close frame wants an answer; who does not give one within the grace is cut.
    const gone = Promise.all([leaving, stopped])
    await Promise.race([
      gone,
      grace,
      sleep(this.#options.clock, Math.min(graceMs, 500), over.signal, () => undefined).catch(() => {}),
    ])
    this.cut()
    this.#server.closeAllConnections()
    await stopped
    over.abort()
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const options = this.#options
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
      if (refused) throw new HttpRefusal(403, refused)
      allowOrigin(request, response, options)
      if (this.#faults.failsNow()) throw new HttpRefusal(503, 'a fault on demand')
      const principal = request.method === 'OPTIONS' ? undefined : await this.#authenticate(request)
      const answered = await answerRoute(
        {
          settings: this.#settings,
          models: options.models,
          maxBodyBytes: options.maxBodyBytes,
          stop: (id) => this.#stop(principal, id),
          closing: this.#closing !== undefined,
        },
        request,
        response,
      )
      if (answered || (await options.onRequest?.(request, response))) return
      throw new HttpRefusal(404, 'there is nothing here')
    } catch (error) {
      this.#fail(request, response, error)
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const refused = error instanceof HttpRefusal
    if (!refused) this.#options.logger?.error(`${request.method} ${pathOf(request)} failed:`, error)
    if (response.headersSent) {
      response.destroy()
      return
    }
    // What was not read of the body would be taken for the next request.
    if (!request.complete) response.setHeader('connection', 'close')
    sendJson(response, refused ? error.status : 500, { error: refused ? error.message : 'internal error' })
  }

  async #onFaults(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isLoopbackAddress(request.socket.remoteAddress)) throw new HttpRefusal(403, 'only from this machine')
    const refused = refusal(request, this.#options)
    if (refused) throw new HttpRefusal(403, refused)
    allowOrigin(request, response, this.#options)
    if (request.method === 'POST' && this.#faults.set(await readJson(request, 1000))) this.cut()
    sendJson(response, 200, this.#faults.state)
  }

  #stop(principal: Principal | undefined, id: string | undefined): number {
    let stopped = 0
    for (const user of this.#users.keys()) {
      if (user.principal === principal) stopped += user.conversation.stop(id)
    }
    return stopped
  }

  /** @throws HttpRefusal 401 */
  async #authenticate(request: IncomingMessage): Promise<Principal | undefined> {
    const { authenticate, logger } = this.#options
    if (!authenticate) return undefined
    try {
      const principal = await authenticate(request)
      if (principal !== undefined) return principal
    } catch (error) {
      logger?.warn('authenticate failed:', error)
    }
    throw new HttpRefusal(401, 'not authenticated')
  }

  async #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // A socket that breaks while we look at it must not throw.
    socket.on('error', () => socket.destroy())
    try {
      if (this.#faults.refusing) {
        socket.destroy()
        return
      }
      await this.#faults.delay()
      const address = request.socket.remoteAddress ?? ''
      this.#admit(request, address)
      const principal = await this.#authenticate(request)
      // Asked again: many may have come in while this one was looked up.
      this.#admit(request, address)
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        const user = new UserSocket(webSocket, principal, this.#options, this.#faults)
        this.#users.set(user, address)
        webSocket.on('close', () => this.#users.delete(user))
      })
    } catch (error) {
      const status = error instanceof HttpRefusal ? error.status : 500
      if (status === 500) this.#options.logger?.error('the upgrade failed:', error)
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      )
    }
  }

  /** @throws HttpRefusal */
  #admit(request: IncomingMessage, address: string): void {
    const options = this.#options
    if (this.#closing) throw new HttpRefusal(503, 'closing')
    if (pathOf(request) !== SOCKET_PATH) throw new HttpRefusal(404, 'there is nothing here')
    const refused = refusal(request, options)
    if (refused) throw new HttpRefusal(403, refused)
    if (this.#users.size >= options.maxConnections) throw new HttpRefusal(503, 'too many connections')
    let ofAddress = 0
    for (const other of this.#users.values()) if (other === address) ofAddress += 1
    if (ofAddress >= options.maxConnectionsPerAddress) throw new HttpRefusal(429, 'too many connections')
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
    connectionsCheckingInterval: Math.max(1000, Math.min(30_000, resolved.requestTimeout)),
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
